//! `guard`: switches a service's mode.

use super::{exit::Exit, output::Output, query};
use crate::{
    client::Client,
    wire::{ModeAnswer, ModeRequest, ModeWord, Span},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The mode
    #[arg(long)]
    mode: ModeWord,
    /// For how long; without it until the next change
    #[arg(long = "for", value_name = "DUR")]
    duration: Option<Span>,
}

pub(super) async fn run(args: &Args, client: &Client, output: Output) -> anyhow::Result<Exit> {
    let path = format!("/v1/services/{}/mode", query::escaped(&args.service));
    let request = ModeRequest {
        mode: args.mode,
        duration: args.duration,
    };
    let answer: ModeAnswer = client.post(&path, &request).await?;
    output.tell(&answer, text)?;
    Ok(Exit::Done)
}

fn text(answer: &ModeAnswer) -> String {
    let (service, mode) = (&answer.service, answer.mode.as_str());
    match answer.until {
        Some(until) => format!(
            "{service} is in mode {mode} until {until}, then in mode {} again\n",
            answer.configured.as_str()
        ),
        None if answer.mode == answer.configured => {
            format!("{service} is in mode {mode}, as configured\n")
        }
        None => format!(
            "{service} is in mode {mode} until that is changed, or the agent is started again\n"
        ),
    }
}
