//! A fresh PostgreSQL database, dropped afterwards.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Row, ValueRef};

use crate::services::services;
use crate::wait::block_on;

/// An empty database of its own.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
}

impl Database {
    /// Creates the database of that name.
    pub fn create(name: &str) -> Self {
        execute(&services().postgres_url, &format!("create database {name}"));
        let (server, _) = services()
            .postgres_url
            .rsplit_once('/')
            .expect("a database in the url");
        Self {
            name: name.to_owned(),
            url: format!("{server}/{name}"),
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements.
    pub fn execute(&self, sql: &str) {
        execute(&self.url, sql);
    }

    /// The rows of a query, every value as the text psql would show.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.rows_unless_down(sql).unwrap()
    }

    /// The same of a server that may be away.
    ///
    /// # Errors
    /// What the server, or its absence, says.
    pub fn rows_unless_down(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, sqlx::Error> {
        run(&self.url, sql)
    }

    /// The only value of a query: `select count(*) …`.
    pub fn number(&self, sql: &str) -> i64 {
        number(&self.url, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("drop database if exists {} with (force)", self.name);
        execute(&services().postgres_url, &sql);
    }
}

fn execute(url: &str, sql: &str) {
    run(url, sql).unwrap();
}

/// Runs statements on a connection of their own; the rows they answer, every value as the text psql would show.
pub(crate) fn run(url: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, sqlx::Error> {
    block_on(async || {
        let mut connection = PgConnectOptions::from_str(url)?.connect().await?;
        let found = sqlx::raw_sql(sql).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(found.iter().map(texts).collect())
    })
}

/// The only value of a query.
pub(crate) fn number(url: &str, sql: &str) -> i64 {
    let rows = run(url, sql).unwrap();
    let value = rows
        .first()
        .and_then(|row| row.first())
        .and_then(Option::as_ref);
    let value = value.unwrap_or_else(|| panic!("no value: {sql}"));
    value
        .parse()
        .unwrap_or_else(|_| panic!("{value:?} is not a number: {sql}"))
}

fn texts(row: &sqlx::postgres::PgRow) -> Vec<Option<String>> {
    (0..row.len())
        .map(|position| {
            let value = row.try_get_raw(position).unwrap();
            (!value.is_null()).then(|| value.as_str().unwrap().to_owned())
        })
        .collect()
}
