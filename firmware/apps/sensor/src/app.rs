//! The app proper. It knows the embedded-hal traits, and nothing of any board.

use core::convert::Infallible;

use embedded_hal::{delay::DelayNs, digital::OutputPin, i2c::I2c};

use crate::{
    alarm::{Alarm, Change},
    log,
    model::{self, Model},
    tmp105::{ADDRESS, Tmp105},
};

/// From one reading to the next: as the network was trained.
const PERIOD_MS: u32 = 30_000;

/// Why the app gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "log", derive(defmt::Format))]
pub enum Error {
    /// The engine refused.
    Model(mote_runtime::Error),
    /// The model was started before: its memory is taken.
    Taken,
    /// The network does not take one f32 and give some.
    Network,
    /// The light cannot be switched.
    Light,
}

impl From<mote_runtime::Error> for Error {
    fn from(error: mote_runtime::Error) -> Self {
        Self::Model(error)
    }
}

/// Watches the sensor for ever. `light` is on while there is an alarm, or no sensor.
pub fn run(bus: impl I2c, clock: &mut impl DelayNs, light: &mut impl OutputPin) -> Result<Infallible, Error> {
    let mut model = Model::start()?;
    log::info!("arena: {=usize} bytes, state: {=usize} bytes", model::ARENA_BYTES, model::STATE_BYTES);
    let mut sensor = Tmp105::new(bus, ADDRESS);
    let mut configured = false;
    let mut alarm = Alarm::default();
    let mut reading: u32 = 0;
    loop {
        clock.delay_ms(PERIOD_MS);
        let celsius = match configured {
            true => sensor.celsius(),
            false => sensor.configure().and_then(|()| sensor.celsius()),
        };
        configured = celsius.is_ok();
        let Ok(celsius) = celsius else {
            log::error!("reading {=u32}: the sensor does not answer", reading);
            light.set_high().map_err(|_| Error::Light)?;
            // What comes after a gap is another stream.
            model.reset();
            alarm = Alarm::default();
            reading = reading.wrapping_add(1);
            continue;
        };
        match model.step(celsius)? {
            None => {
                log::info!("reading {=u32}: {=f32} degrees", reading, celsius);
                light.set_low().map_err(|_| Error::Light)?;
            }
            Some(scores) => {
                let [next, eighth] = scores;
                log::info!(
                    "reading {=u32}: {=f32} degrees, scores {=f32} {=f32}",
                    reading,
                    celsius,
                    next,
                    eighth
                );
                match alarm.take(next.max(eighth)) {
                    Change::Raised => {
                        log::warn!("alarm at reading {=u32}", reading);
                        light.set_high().map_err(|_| Error::Light)?;
                    }
                    Change::Ended => {
                        log::info!("calm again at reading {=u32}", reading);
                        light.set_low().map_err(|_| Error::Light)?;
                    }
                    Change::Nothing => {}
                }
            }
        }
        reading = reading.wrapping_add(1);
    }
}
