//! `[store]`: where the log, the ledger and the parked records are.

use std::fmt;
use std::time::Duration;

use super::secret::Secret;
use super::section::Section;

/// `[store]`
#[derive(Debug, Clone)]
pub struct Store {
    pub url: StoreUrl,
    pub connections_max: u32,
    pub partition_width: Duration,
    pub partitions_ahead: u32,
}

impl Store {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let url = read_url(section);
        let connections_max = section.integer("connections_max", 2..=100);
        let partition_width = section.duration(
            "partition_width",
            Duration::from_secs(60)..=Duration::from_secs(7 * 86_400),
        );
        let partitions_ahead = section.integer("partitions_ahead", 1..=14);
        section.refuse_unknown_keys();
        Some(Self {
            url: url?,
            connections_max: connections_max?,
            partition_width: partition_width?,
            partitions_ahead: partitions_ahead?,
        })
    }
}

/// A database's address. `Display` and `Debug` mask its password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    kind: StoreKind,
    text: Secret,
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    Postgres,
    Sqlite,
}

impl StoreUrl {
    /// Reads `postgres://…`, `postgresql://…` or `sqlite://path`.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let kind = match scheme {
            "postgres" | "postgresql" if rest.starts_with("//") => StoreKind::Postgres,
            "sqlite" if rest.len() > 2 && rest.starts_with("//") => StoreKind::Sqlite,
            _ => return None,
        };
        Some(Self {
            kind,
            text: Secret::new(text.to_owned()),
        })
    }

    pub fn kind(&self) -> StoreKind {
        self.kind
    }

    /// The address with its password, for the one who connects.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    fn has_password(&self) -> bool {
        self.to_string() != self.expose()
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_passwords(self.expose()))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL with `***` for the password before its host, and for those among its parameters.
pub fn mask_passwords(url: &str) -> String {
    let (address, parameters) = url
        .split_once('?')
        .map_or((url, None), |(address, parameters)| {
            (address, Some(parameters))
        });
    let mut masked = mask_userinfo(address);
    if let Some(parameters) = parameters {
        let parameters: Vec<_> = parameters
            .split('&')
            .map(|parameter| match parameter.split_once('=') {
                Some((name, _)) if name.contains("password") => format!("{name}=***"),
                _ => parameter.to_owned(),
            })
            .collect();
        masked.push('?');
        masked.push_str(&parameters.join("&"));
    }
    masked
}

fn mask_userinfo(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    // A password may hold "/" and "@": what ends it is the last "@".
    match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{scheme}://{name}:***@{host}"),
            None => address.to_owned(),
        },
        None => address.to_owned(),
    }
}

fn read_url(section: &Section<'_>) -> Option<StoreUrl> {
    let node = section.required("url")?;
    let allowed = "postgres://… or sqlite://path";
    let resolved = section.resolve(node, allowed)?;
    let Some(url) = StoreUrl::parse(&resolved.text) else {
        if resolved.is_reference {
            return section.refuse(node, allowed);
        }
        let shown = mask_passwords(&resolved.text);
        return section.problem(node, format!("must be {allowed}, not {shown:?}"));
    };
    if url.has_password() && !resolved.is_reference {
        return section.problem(
            node,
            "holds a password: write a reference (\"env:NAME\" or \"file:/path\") instead",
        );
    }
    if names_several_servers(url.expose()) {
        return section.problem(
            node,
            "names several servers: write one address, which leads to whichever is the primary",
        );
    }
    section.show("url", url.to_string());
    Some(url)
}

/// libpq would try them in turn; sqlx takes them for one name.
fn names_several_servers(url: &str) -> bool {
    let address = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (address, query) = address.split_once('?').unwrap_or((address, ""));
    let authority = address.split('/').next().unwrap_or_default();
    // A password may hold commas, too; the last "@" ends it.
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let in_query = query
        .split('&')
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| matches!(*name, "host" | "hostaddr"))
        .map(|(_, hosts)| hosts);
    in_query
        .chain([hosts])
        .any(|hosts| hosts.contains(',') || hosts.to_ascii_lowercase().contains("%2c"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_several_servers_where_libpq_would_see_them() {
        for address in [
            "one,two/relay",
            "one:5432,two:5432/relay?target_session_attrs=read-write",
            "relay:a,b@one,two:5432/relay",
            "one,two/relay?application_name=x@y",
            "one,two/relay@x",
            "/relay?host=one,two",
            "/relay?port=5433&host=one%2Ctwo",
            "one/relay?hostaddr=10.0.0.1,10.0.0.2",
        ] {
            assert!(
                names_several_servers(&format!("postgres://{address}")),
                "{address}"
            );
        }
        for address in [
            "relay:a,b@one/relay",
            "/relay?host=/var/run/postgresql",
            "one/relay?application_name=a,b",
        ] {
            assert!(
                !names_several_servers(&format!("postgres://{address}")),
                "{address}"
            );
        }
    }

    #[test]
    fn the_password_of_an_address_is_never_shown() {
        for (url, shown) in [
            ("postgres://relay@db/relay", "postgres://relay@db/relay"),
            (
                "postgres://relay:hunter2@db/relay",
                "postgres://relay:***@db/relay",
            ),
            (
                "postgres://relay:hun/ter@2@db:5432/relay?sslmode=require",
                "postgres://relay:***@db:5432/relay?sslmode=require",
            ),
            (
                "postgres:///relay?user=a&password=hunter2",
                "postgres:///relay?user=a&password=***",
            ),
            ("sqlite://relay.db", "sqlite://relay.db"),
        ] {
            let url = StoreUrl::parse(url).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn only_the_two_stores_have_addresses() {
        for text in [
            "",
            "mysql://x/y",
            "postgres:x",
            "sqlite:",
            "sqlite://",
            "relay.db",
        ] {
            assert_eq!(StoreUrl::parse(text), None, "{text}");
        }
    }
}
