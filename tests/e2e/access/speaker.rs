//! A server that is asked about clients, and what it may answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::actors::{Backend, Certificates, Wire};

/// What a server answers.
#[derive(Clone)]
pub enum Said {
    /// This, at once.
    Whole(Vec<u8>),
    /// Not a word.
    Nothing,
    /// This, and it takes long.
    ByteByByte(Vec<u8>),
    /// This, and then the same piece for as long as it goes.
    Endless(Vec<u8>, Vec<u8>),
}

impl From<Vec<u8>> for Said {
    fn from(answer: Vec<u8>) -> Said {
        Said::Whole(answer)
    }
}

impl Said {
    async fn write(self, wire: &mut Wire) -> std::io::Result<()> {
        match self {
            Said::Whole(answer) => wire.write_all(&answer).await,
            Said::Nothing => std::future::pending().await,
            Said::ByteByByte(answer) => {
                for byte in answer {
                    wire.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok(())
            }
            Said::Endless(head, piece) => {
                wire.write_all(&head).await?;
                loop {
                    wire.write_all(&piece).await?;
                }
            }
        }
    }
}

/// A server that answers whatever it is asked so.
pub struct Speaker {
    said: Arc<Mutex<Said>>,
    pub server: Backend,
}

impl Speaker {
    pub async fn new(certificates: Option<&Certificates>, answer: impl Into<Said>) -> Speaker {
        let said = Arc::new(Mutex::new(answer.into()));
        let now = Arc::clone(&said);
        let script = move |_, mut wire: Wire| {
            let said = now.lock().unwrap().clone();
            async move {
                let _ = said.write(&mut wire).await;
                let _ = wire.shutdown().await;
            }
        };
        Speaker { said, server: Backend::script_over(certificates, script).await }
    }

    /// Answers so from now on.
    pub fn says(&self, answer: impl Into<Said>) {
        *self.said.lock().unwrap() = answer.into();
    }
}
