//! Operators' tokens, and how an older catalog comes by them.

use holdfast_catalog::{Catalog, Kept, NewOperator, OperatorRow, PolicyRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::{catalog, file};

const YEAR: u64 = 366 * 24 * 3_600_000;

fn token(id: &str, name: &str, created: u64, expires: u64) -> NewOperator {
    NewOperator {
        id: id.into(),
        name: name.into(),
        secret: "hash".into(),
        read_only: true,
        made_by: "an operator".into(),
        created,
        expires,
    }
}

#[tokio::test]
async fn a_token_is_found_until_it_is_forgotten() {
    let (catalog, _folder) = catalog().await;
    let alice = token("a1", "alice", 10, 100);
    assert_eq!(catalog.add_operator(&alice).await.unwrap(), Kept::Yes);
    assert_eq!(catalog.operator("alice").await.unwrap(), None);
    let expected = OperatorRow { token: alice.clone(), revoked: None, used: None };
    assert_eq!(catalog.operator("a1").await.unwrap(), Some(expected));
    catalog.used_operator("a1", 20).await.unwrap();
    assert_eq!(catalog.revoke_operator("alice", 30).await.unwrap(), 1);
    // What was taken back stays so, with the first time.
    assert_eq!(catalog.revoke_operator("a1", 40).await.unwrap(), 0);
    let expected = OperatorRow { token: alice, revoked: Some(30), used: Some(20) };
    assert_eq!(catalog.operators().await.unwrap(), [expected]);
    catalog.add_operator(&token("b1", "bob", 31 + YEAR, 32 + YEAR)).await.unwrap();
    assert_eq!(catalog.operator("a1").await.unwrap(), None);
}

#[tokio::test]
async fn of_the_good_ones_one_has_a_name() {
    let (catalog, _folder) = catalog().await;
    catalog.add_operator(&token("a1", "alice", 10, 100)).await.unwrap();
    assert_eq!(catalog.add_operator(&token("a2", "alice", 99, 200)).await.unwrap(), Kept::NameTaken);
    assert_eq!(catalog.operator("a2").await.unwrap(), None);
    // The first is over.
    assert_eq!(catalog.add_operator(&token("a2", "alice", 100, 200)).await.unwrap(), Kept::Yes);
    assert_eq!(catalog.revoke_operator("alice", 110).await.unwrap(), 1);
    assert_eq!(catalog.add_operator(&token("a3", "alice", 120, 200)).await.unwrap(), Kept::Yes);
    assert_eq!(catalog.revoke_operator("nobody", 130).await.unwrap(), 0);
    assert_eq!(catalog.operator("a3").await.unwrap().unwrap().revoked, None);
}

#[tokio::test]
async fn there_is_a_bound() {
    let (catalog, _folder) = catalog().await;
    for number in 0..1_000 {
        let name = format!("n{number}");
        assert_eq!(catalog.add_operator(&token(&name, &name, 10, 100)).await.unwrap(), Kept::Yes);
    }
    assert_eq!(catalog.add_operator(&token("x", "x", 10, 100)).await.unwrap(), Kept::TooMany);
    catalog.revoke_operator("n7", 20).await.unwrap();
    assert_eq!(catalog.add_operator(&token("x", "x", 21, 100)).await.unwrap(), Kept::Yes);
}

#[tokio::test]
async fn a_catalog_of_the_first_schema_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut raw: SqliteConnection = options.connect().await.unwrap();
    sqlx::raw_sql(include_str!("../../src/schema/1.sql")).execute(&mut raw).await.unwrap();
    sqlx::raw_sql("INSERT INTO policies VALUES ('home', 'text', 7)").execute(&mut raw).await.unwrap();
    for (job, policy) in [("j1", "'home'"), ("j2", "NULL")] {
        let job_row = format!(
            "INSERT INTO jobs VALUES ('{job}', 'backup', 'web', {policy}, 'depot', 'home', 'done', 0, 1, NULL, 1, 1, 1, 1, \
             '', '', '', '', 0);
             INSERT INTO images VALUES ('i{job}', '{job}', 'web', 'home', 'depot', 1, 1, '[]', 1, 1, 0, '')"
        );
        sqlx::raw_sql(AssertSqlSafe(job_row)).execute(&mut raw).await.unwrap();
    }
    raw.close().await.unwrap();
    let catalog = Catalog::open(&path).await.unwrap();
    assert_eq!(catalog.image("ij1").await.unwrap().unwrap().policy.as_deref(), Some("home"));
    assert_eq!(catalog.image("ij2").await.unwrap().unwrap().policy, None);
    let home = PolicyRow { name: "home".into(), text: "text".into(), applied: 7, by: String::new() };
    assert_eq!(catalog.policies().await.unwrap(), [home]);
    assert_eq!(catalog.operators().await.unwrap(), []);
    assert_eq!(catalog.add_operator(&token("a1", "alice", 10, 100)).await.unwrap(), Kept::Yes);
}
