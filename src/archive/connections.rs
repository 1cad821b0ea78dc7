//! Edge: a few connections to the database, each given up for a new one as soon as anything went wrong on it.
//!
//! The driver's own pool waits without end for a server that has gone silent before it lets go of a connection to it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::place::Place;

/// Work on one connection.
pub(super) type Step<'c, T> = BoxFuture<'c, Result<T, sqlx::Error>>;

/// Connections that are alike.
pub(super) struct Connections {
    options: AnyConnectOptions,
    greeting: &'static str,
    /// Those that nobody uses; after the last call each was in order.
    idle: Mutex<Vec<AnyConnection>>,
    places: Semaphore,
}

impl Connections {
    /// As many as this at a time; none is made yet.
    pub(super) fn new(place: &Place, most: usize) -> Self {
        Connections {
            options: place.options().clone(),
            greeting: place.greeting(),
            idle: Mutex::default(),
            places: Semaphore::new(most),
        }
    }

    /// Works in one transaction. Where it fails, or nobody waits for it any more, the connection is closed, and the
    /// database takes back what was written.
    pub(super) async fn run<T>(
        &self,
        begin: &'static str,
        work: impl for<'c> FnOnce(&'c mut AnyConnection) -> Step<'c, T>,
    ) -> Result<T, sqlx::Error> {
        let _place = self.places.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let mut connection = self.connection().await?;
        connection.execute(begin).await?;
        let value = work(&mut connection).await?;
        connection.execute("COMMIT").await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(value)
    }

    async fn connection(&self) -> Result<AnyConnection, sqlx::Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut connection) = idle {
            if let Ok(Ok(())) = timeout(PING, connection.ping()).await {
                return Ok(connection);
            }
            // What ended this one has ended the others too.
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let mut connection = AnyConnection::connect_with(&self.options).await?;
        connection.execute(self.greeting).await?;
        Ok(connection)
    }
}

/// How long a connection that was used before is believed in.
const PING: Duration = Duration::from_secs(1);
