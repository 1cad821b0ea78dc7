//! Edge: hands what a worker found over to the controller, which alone has the key of the certificate that it was told of.

use std::fs::File;
use std::time::Duration;

use futures::stream::unfold;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use reqwest::header::CONTENT_LENGTH;
use reqwest::redirect::Policy;
use reqwest::{Body, Certificate, Client};
use tokio::io::AsyncReadExt;

use super::unmade;
use crate::registry::Scanned;
use crate::scanner::{PortOrder, ScanProblem};

/// Sends the SBOM and then the report.
pub(in crate::scanner) async fn hand_over(order: &PortOrder, scanned: &Scanned) -> Result<(), ScanProblem> {
    let client = client(order).map_err(|problem| failed(&problem))?;
    let unread = |problem| ScanProblem::evidence(&format!("what grype wrote: {problem}"));
    send(&client, order, "sbom", scanned.sbom().map_err(unread)?).await?;
    send(&client, order, "report", scanned.report().map_err(unread)?).await
}

fn client(order: &PortOrder) -> reqwest::Result<Client> {
    let authorities = Certificate::from_pem_bundle(order.authority.as_bytes())?;
    Client::builder()
        .no_proxy()
        .https_only(true)
        .redirect(Policy::none())
        .referer(false)
        .tls_certs_only(authorities)
        .resolve(&order.name, order.at)
        .timeout(PATIENCE)
        .build()
}

async fn send(client: &Client, order: &PortOrder, piece: &str, file: File) -> Result<(), ScanProblem> {
    let PortOrder { at, name, digest, nonce, .. } = order;
    let address = format!("https://{name}:{}/v1/scans/{digest}/{piece}", at.port());
    let length = file.metadata().map_err(unmade)?.len();
    let body = unfold(tokio::fs::File::from_std(file), async |mut file| {
        let mut bytes = vec![0; CHUNK];
        match file.read(&mut bytes).await {
            Ok(0) => None,
            Ok(read) => {
                bytes.truncate(read);
                Some((Ok(Frame::data(Bytes::from(bytes))), file))
            }
            Err(problem) => Some((Err(problem), file)),
        }
    });
    let request = client.post(address).bearer_auth(nonce).header(CONTENT_LENGTH, length);
    let answer = request.body(Body::wrap(StreamBody::new(body))).send().await.map_err(|problem| failed(&problem))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let why = answer.text().await.unwrap_or_default();
    Err(unmade(format!("the controller did not take the {piece} ({}): {why}", status.as_u16())))
}

/// Neither nonce nor address is in it.
fn failed(problem: &reqwest::Error) -> ScanProblem {
    let mut text = "cannot reach the controller's port for scans".to_owned();
    let mut cause = std::error::Error::source(problem);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    unmade(text)
}

const CHUNK: usize = 64 << 10;
/// As long as the port waits, and a little more: its answer says more than ours would.
const PATIENCE: Duration = Duration::from_secs(130);
