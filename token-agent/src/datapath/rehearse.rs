//! Running a program on frames of our own, without a network.

use std::time::Duration;

use aya::{
    Ebpf,
    programs::{ProgramError, TestRun, TestRunOptions},
};

use super::{DatapathError, object, place::Role};

/// One of the guard's programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    /// The guard at TC.
    Tc,
    /// The witness, which is at TC.
    Witness,
    /// The guard at XDP.
    Xdp,
}

/// What a program did with a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rehearsal {
    /// Whether the frame may go on.
    pub passed: bool,
    /// How long one run took, on average.
    pub duration: Duration,
}

pub(super) fn rehearse(
    object: &mut Ebpf,
    program: Program,
    frame: &[u8],
    repeat: u32,
) -> Result<Rehearsal, DatapathError> {
    const XDP_PASS: u32 = 2;
    const TC_ACT_UNSPEC: u32 = u32::MAX;
    let options = || TestRunOptions {
        data_in: Some(frame),
        repeat,
        ..TestRunOptions::new()
    };
    let (ran, pass) = match program {
        Program::Tc => {
            let program = object::tc(object, Role::Guard)?;
            (program.test_run(options()), TC_ACT_UNSPEC)
        }
        Program::Witness => {
            let program = object::tc(object, Role::Witness)?;
            (program.test_run(options()), TC_ACT_UNSPEC)
        }
        Program::Xdp => (object::xdp(object)?.test_run(options()), XDP_PASS),
    };
    let ran = ran.map_err(refused(program))?;
    Ok(Rehearsal {
        passed: ran.return_value == pass,
        duration: ran.duration,
    })
}

pub(super) fn verified_instructions(
    object: &mut Ebpf,
    program: Program,
) -> Result<u32, DatapathError> {
    let info = match program {
        Program::Tc => object::tc(object, Role::Guard)?.info(),
        Program::Witness => object::tc(object, Role::Witness)?.info(),
        Program::Xdp => object::xdp(object)?.info(),
    };
    Ok(info
        .map_err(refused(program))?
        .verified_instruction_count()
        .unwrap_or(0))
}

fn refused(program: Program) -> impl Fn(ProgramError) -> DatapathError {
    let program = match program {
        Program::Tc => object::TC,
        Program::Witness => object::WITNESS,
        Program::Xdp => object::XDP,
    };
    move |source| DatapathError::Program { program, source }
}
