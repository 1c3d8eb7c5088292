//! Topics, records and databases on the real services.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Message};
use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::scene::Scene;
use relay_test_support::services::services;
use relay_test_support::wait::wait_for;

#[test]
fn a_scene_has_a_database_of_its_own_and_drops_it() {
    let scene = Scene::new();
    let name = scene.database.url().rsplit('/').next().unwrap().to_owned();
    scene
        .database
        .execute("create table cars (id int); insert into cars values (1), (null)");
    assert_eq!(scene.database.number("select count(*) from cars"), 2);
    assert_eq!(
        scene.database.rows("select id from cars order by id"),
        [[Some("1".to_owned())], [None]]
    );
    drop(scene);

    let other = Scene::new();
    let sql = format!("select count(*) from pg_database where datname = '{name}'");
    assert_eq!(other.database.number(&sql), 0);
}

#[test]
fn records_arrive_at_the_partition_of_their_key() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 4);
    let producer = Producer::new();
    for version in 1..=3 {
        producer.send(
            &topic,
            &Record::new("monolith", "Vehicle", "42")
                .version(version)
                .text("plate", "KA-01"),
        );
    }
    producer.flush();
    let ends: Vec<_> = end_offsets(&topic)
        .into_values()
        .filter(|end| *end > 0)
        .collect();
    assert_eq!(ends, [3]);
    assert!(committed_offsets(&scene.group("billing"), &topic).is_empty());

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &services().brokers)
        .set("group.id", scene.group("billing"))
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    let message = wait_for("a record", Duration::from_secs(30), || {
        consumer.poll(Duration::ZERO)
    });
    let message = message.unwrap();
    assert_eq!(message.key(), Some(&b"42"[..]));
    consumer.commit_message(&message, CommitMode::Sync).unwrap();
    let committed: Vec<_> = committed_offsets(&scene.group("billing"), &topic)
        .into_values()
        .collect();
    assert_eq!(committed, [1]);
}
