//! One question to one source.

use std::time::Duration;

#[cfg(feature = "dns")]
use super::dns::DnsClient;
use super::file::MemberFile;
use super::source_answer::SourceAnswer;
use crate::base::clock;
use crate::config::plan::{Discovery, MemberSource};

/// How long a source may take for its answer, all its servers and repeats together.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Asks a source.
pub(super) enum SourceClient {
    File(MemberFile),
    #[cfg(feature = "dns")]
    Dns(Box<DnsClient>),
    /// A source that this build cannot ask; a configuration that names one is refused.
    #[cfg(not(feature = "dns"))]
    None,
}

impl SourceClient {
    #[cfg_attr(not(feature = "dns"), allow(unused_variables))]
    pub(super) fn new(source: &MemberSource, rules: &Discovery) -> SourceClient {
        match source {
            MemberSource::File(path) => SourceClient::File(MemberFile::new(path.clone())),
            #[cfg(feature = "dns")]
            name => SourceClient::Dns(Box::new(DnsClient::new(name.clone(), rules))),
            #[cfg(not(feature = "dns"))]
            _ => SourceClient::None,
        }
    }

    pub(super) async fn ask(&mut self) -> SourceAnswer {
        let due = clock::now().after(ANSWER_TIMEOUT);
        let asked = async {
            match self {
                SourceClient::File(file) => file.read().await,
                #[cfg(feature = "dns")]
                SourceClient::Dns(client) => client.ask().await,
                #[cfg(not(feature = "dns"))]
                SourceClient::None => SourceAnswer::Failed("this build cannot ask DNS".to_owned()),
            }
        };
        let heard = clock::by(due, asked).await;
        heard
            .unwrap_or_else(|| SourceAnswer::Failed(format!("no answer within {ANSWER_TIMEOUT:?}")))
    }
}
