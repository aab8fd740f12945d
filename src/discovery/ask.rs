//! One question to one source.

use std::time::Duration;

#[cfg(feature = "dns")]
use super::dns::DnsClient;
use super::file::MemberFile;
use crate::base::clock;
use crate::config::plan::{Discovery, FoundMember, MemberSource};

/// How long a source may take for its answer, all its servers and repeats together.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// What a source said.
#[derive(Debug)]
pub(super) enum Heard {
    /// Its members, perhaps none, and how long that holds.
    Members {
        /// Who they are.
        members: Vec<FoundMember>,
        /// By the records' TTL.
        ttl: Duration,
    },
    /// Nothing that can be used: why.
    Failed(String),
}

/// Asks a source.
pub(super) enum Asker {
    File(MemberFile),
    #[cfg(feature = "dns")]
    Dns(Box<DnsClient>),
    /// A source that this build cannot ask; a configuration that names one is refused.
    #[cfg(not(feature = "dns"))]
    None,
}

impl Asker {
    #[cfg_attr(not(feature = "dns"), allow(unused_variables))]
    pub(super) fn new(source: &MemberSource, rules: &Discovery) -> Asker {
        match source {
            MemberSource::File(path) => Asker::File(MemberFile::new(path.clone())),
            #[cfg(feature = "dns")]
            name => Asker::Dns(Box::new(DnsClient::new(name.clone(), rules))),
            #[cfg(not(feature = "dns"))]
            _ => Asker::None,
        }
    }

    pub(super) async fn ask(&mut self) -> Heard {
        let due = clock::now().after(ANSWER_TIMEOUT);
        let asked = async {
            match self {
                Asker::File(file) => file.read().await,
                #[cfg(feature = "dns")]
                Asker::Dns(client) => client.ask().await,
                #[cfg(not(feature = "dns"))]
                Asker::None => Heard::Failed("this build cannot ask DNS".to_owned()),
            }
        };
        let heard = clock::by(due, asked).await;
        heard.unwrap_or_else(|| Heard::Failed(format!("no answer within {ANSWER_TIMEOUT:?}")))
    }
}
