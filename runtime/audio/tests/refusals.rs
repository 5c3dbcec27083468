//! Recipes and tables that contradict themselves are refused by name.

use mote_audio::{Built, Error, Filter, FrontEnd, Recipe, Tables, digits};

const GOOD: Recipe = digits::RECIPE;

#[test]
fn recipes() {
    let cases = [
        (Recipe { rate: 0, ..GOOD }, Error::Rate),
        (Recipe { preemphasis: 1.5, ..GOOD }, Error::Preemphasis { value: 1.5 }),
        (Recipe { window: 1, ..GOOD }, Error::Window { window: 1, fft: 256 }),
        (Recipe { window: 257, ..GOOD }, Error::Window { window: 257, fft: 256 }),
        (Recipe { hop: 0, ..GOOD }, Error::Hop),
        (Recipe { fft: 300, ..GOOD }, Error::FftSize { size: 300 }),
        (Recipe { fft: 1 << 17, ..GOOD }, Error::FftSize { size: 1 << 17 }),
        (Recipe { fft: 512, ..GOOD }, Error::Fft { recipe: 512, compiled: 256 }),
        (Recipe { low: -1.0, ..GOOD }, Error::Band { low: -1.0, high: 3800.0 }),
        (Recipe { high: 4001.0, ..GOOD }, Error::Band { low: 60.0, high: 4001.0 }),
        (Recipe { low: 3800.0, ..GOOD }, Error::Band { low: 3800.0, high: 3800.0 }),
        (Recipe { mels: 0, ..GOOD }, Error::NoMels),
        (Recipe { mels: 31, ..GOOD }, Error::Mels { recipe: 31, compiled: 32 }),
        (Recipe { mel_floor: 0.0, ..GOOD }, Error::Scaling),
        (Recipe { power_floor: f32::NAN, ..GOOD }, Error::Scaling),
        (Recipe { scale: f32::INFINITY, ..GOOD }, Error::Scaling),
        (Recipe { clip: (1.0, 0.0), ..GOOD }, Error::Scaling),
    ];
    for (recipe, error) in cases {
        assert_eq!(FrontEnd::<256, 32>::new(&recipe, digits::TABLES.tables()).err(), Some(error));
    }
    let nan = Recipe { preemphasis: f32::NAN, ..GOOD };
    assert!(matches!(nan.check(), Err(Error::Preemphasis { .. })));
    let nan = Recipe { low: f32::NAN, ..GOOD };
    assert!(matches!(nan.check(), Err(Error::Band { .. })));
}

#[test]
fn tables() {
    let good = digits::TABLES.tables();
    let refuse = |tables: Tables<'_>| FrontEnd::<256, 32>::new(&GOOD, tables).err();
    assert_eq!(refuse(good), None);
    assert_eq!(
        refuse(Tables { window: &good.window[1..], ..good }),
        Some(Error::WindowTable { needed: 240, given: 239 })
    );
    assert_eq!(
        refuse(Tables { filters: &good.filters[1..], ..good }),
        Some(Error::Mels { recipe: 32, compiled: 31 })
    );
    let needed = good.weights.len();
    assert_eq!(
        refuse(Tables { weights: &good.weights[1..], ..good }),
        Some(Error::Weights { needed, given: needed - 1 })
    );
    for damaged in [Filter { first: 3, count: 0 }, Filter { first: 120, count: 10 }] {
        let mut filters = good.filters.to_vec();
        filters[7] = damaged;
        assert_eq!(refuse(Tables { filters: &filters, ..good }), Some(Error::Filter { index: 7 }));
    }
    let mut weights = good.weights.to_vec();
    weights[11] = f32::NAN;
    assert_eq!(refuse(Tables { weights: &weights, ..good }), Some(Error::NotFinite));
}

#[test]
fn tables_of_the_wrong_size_are_not_built() {
    const WEIGHTS: usize = GOOD.weights();
    assert_eq!(
        Built::<239, 32, WEIGHTS>::new(&GOOD).err(),
        Some(Error::WindowTable { needed: 240, given: 239 })
    );
    assert_eq!(
        Built::<240, 32, { WEIGHTS - 1 }>::new(&GOOD).err(),
        Some(Error::Weights { needed: WEIGHTS, given: WEIGHTS - 1 })
    );
    // So many filters that the first ones fall between two bins.
    const NARROW: Recipe = Recipe { mels: 128, ..GOOD };
    assert_eq!(Built::<240, 128, { NARROW.weights() }>::new(&NARROW).err(), Some(Error::Filter { index: 1 }));
}
