//! What the program says to those who call it wrongly.

use std::process::Command;

#[test]
fn what_it_does_not_know_ends_it_before_anything_is_broken() {
    for arguments in [
        &["--second", "9"][..],
        &["--seconds"],
        &["--seconds", "0"],
        &["--seed", "many"],
    ] {
        let program = Command::new(env!("CARGO_BIN_EXE_relay-chaos"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(program.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8(program.stderr).unwrap();
        assert!(said.contains(arguments[0]), "{said}");
    }
}
