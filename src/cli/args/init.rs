//! What `tidegate init` is told.

use std::path::PathBuf;

use clap::Args;

/// What the new file is for.
#[derive(Args, Debug)]
pub(in crate::cli) struct Init {
    /// A backend: `ADDRESS:PORT`, `https://…` or `unix:/PATH`; may be given again
    #[arg(long = "backend", value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    pub(in crate::cli) backends: Vec<String>,
    /// A host that it is reached by, as `chat.example.com`; may be given again
    #[arg(long = "host", value_name = "NAME")]
    pub(in crate::cli) hosts: Vec<String>,
    /// The path that goes to the backends; without it all that is no file does
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) path: Option<String>,
    /// The directory of a page and its files
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) files: Option<String>,
    /// The certificate's chain, a PEM file: listen with TLS
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(in crate::cli) chain: Option<String>,
    /// The certificate's key, a PEM file
    #[arg(long, value_name = "FILE", requires = "chain")]
    pub(in crate::cli) key: Option<String>,
    /// Order certificates for the hosts from Let's Encrypt, and agree to its terms of service;
    /// it writes to this address when something is wrong
    #[arg(long, value_name = "EMAIL", requires = "hosts", conflicts_with = "chain")]
    pub(in crate::cli) acme: Option<String>,
    /// For a service or a container: the operator's socket is in /run/tidegate, not beside the file
    #[arg(long)]
    pub(in crate::cli) service: bool,
    /// Keep clients connected while a backend restarts
    #[arg(long)]
    pub(in crate::cli) hold: bool,
    /// Write it into this file, which must not be there yet, in place of printing it
    #[arg(long, short, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
}
