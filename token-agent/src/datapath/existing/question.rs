//! What the agent asks the kernel side about a connection.

use aya::programs::{ProgramError, SchedClassifier, TestRun as _, TestRunOptions};
use token_agent_common::abi::{FlowKey, Question, Standing};

use super::Existing;
use crate::datapath::maps::address;

/// How long an Ethernet header is, behind which the question stands.
const ETHERNET: usize = 14;

/// Where `__sk_buff` has the interface's index.
const INTERFACE: usize = 40;

impl Existing {
    /// Asks how the guard stands to it; with `adopt`, to go on with it if it is unknown.
    pub(in crate::datapath) fn ask(
        &self,
        program: &SchedClassifier,
        adopt: bool,
    ) -> Result<Standing, ProgramError> {
        let flow = FlowKey {
            client: address(self.remote.ip()),
            server: address(self.local.ip()),
            client_port: self.remote.port(),
            server_port: self.local.port(),
            zone: 0,
        };
        let question = Question::new(flow, adopt);
        let mut frame = vec![0; ETHERNET];
        frame.extend_from_slice(bytemuck::bytes_of(&question));
        // A socket that is bound to an interface, as with a link-local address, is found by it alone.
        let mut context = [0; INTERFACE + size_of::<u32>()];
        context[INTERFACE..].copy_from_slice(&self.id.interface_id.to_ne_bytes());
        let ran = program.test_run(TestRunOptions {
            data_in: Some(&frame),
            ctx_in: Some(&context),
            ..TestRunOptions::new()
        })?;
        Ok(Standing::from_code(ran.return_value))
    }
}
