//! The app proper: a device's life. It knows the embedded-io traits, and nothing of any board.

use core::convert::Infallible;

use embedded_io::{Read, ReadReady, Write};
use mote_modest::{
    device::{Device, DeviceError, Happened, Keep},
    link::Config,
};

use crate::{
    Error,
    features::Features,
    head::{self, PACKET},
    job::Job,
    log,
};

/// Makes features of the samples, and then does what the gateway on `port` says, for ever. `keep` outlives resets; `clock`
/// tells milliseconds.
pub fn run<P, K>(
    received: &'static [u8],
    mut port: P,
    keep: K,
    mut clock: impl FnMut() -> u64,
) -> Result<Infallible, Error>
where
    P: Read + ReadReady + Write<Error = Infallible>,
    K: Keep<Error = Infallible>,
{
    let job = Job::read(received)?;
    let mut features = Features::make(&job)?;
    let head::Memory { trainer, input, message } = head::memory()?;
    log::info!("{=usize} samples, {=usize} parameters", job.count, trainer.parameters().len());
    let device =
        Device::<_, PACKET>::new::<Infallible>(job.secret, keep, trainer, input, message, Config::DEFAULT);
    let Ok(mut device) = device else { return Err(Error::Room) };
    loop {
        match device.turn(&mut port, &mut features, clock()) {
            Ok(None) => {}
            Ok(Some(Happened::Joined { task })) => log::info!("joined task {=u64:x}", task),
            Ok(Some(Happened::Began { round })) => log::info!("round {=u32} began", round),
            Ok(Some(Happened::Stopped { round })) => log::info!("round {=u32} stopped", round),
            Ok(Some(Happened::Trained { round, loss })) => {
                log::info!("round {=u32} trained, loss {=f32}", round, loss)
            }
            Ok(Some(Happened::Sent { round, bytes })) => {
                log::info!("round {=u32} sent, {=usize} bytes", round, bytes)
            }
            // A round whose numbers left all bounds is given up; the next one begins with others.
            Err(DeviceError::Train(error)) => log::warn!("training: {}", error),
            Err(DeviceError::Port(never) | DeviceError::Keep(never)) => match never {},
            Err(DeviceError::Room(_)) => return Err(Error::Room),
        }
    }
}
