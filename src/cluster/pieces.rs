//! Edge: an answer of the API server as it comes, piece by piece, so that nobody has to hold it whole.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use futures::{AsyncBufRead, AsyncReadExt};
use kube::Error;

use super::Cluster;

/// What is left of an answer.
pub(super) struct Pieces {
    body: Pin<Box<dyn AsyncBufRead + Send>>,
    piece: Vec<u8>,
}

impl Cluster {
    /// Asks for what stands at a path.
    pub(super) async fn pieces(&self, path: &str) -> Result<Pieces, Error> {
        self.pieces_as(path, WHOLE).await
    }

    /// The same in a form that the API server offers.
    pub(super) async fn pieces_as(&self, path: &str, accept: &'static str) -> Result<Pieces, Error> {
        let request = http::Request::get(path).header(http::header::ACCEPT, accept);
        let request = request.body(Vec::new()).map_err(Error::HttpError)?;
        let body = Box::pin(self.client.request_stream(request).await?);
        Ok(Pieces { body, piece: vec![0; PIECE] })
    }
}

impl Pieces {
    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        let length = self.body.read(&mut self.piece).await.map_err(Error::ReadEvents)?;
        Ok(self.piece.get(..length).filter(|piece| !piece.is_empty()))
    }

    /// The same of an answer that is there already and has no reason to pause.
    pub(super) async fn next_soon(&mut self) -> Result<Option<&[u8]>, Error> {
        let late = |_| Error::ReadEvents(io::ErrorKind::TimedOut.into());
        tokio::time::timeout(PAUSE, self.next()).await.map_err(late)?
    }
}

/// Objects with all that they hold.
pub(super) const WHOLE: &str = "application/json";
const PIECE: usize = 64 << 10;
/// Between two pieces.
const PAUSE: Duration = Duration::from_secs(4);
