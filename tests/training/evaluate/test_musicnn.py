"""The port of musicnn beside the original package's own output, which was run once.

The numbers are those of musicnn 0.1.0 on TensorFlow 2.21 (Keras 2), `extractor(file, "MSD_musicnn",
input_length=3, input_overlap=1.0)`. It holds mel spectra in half precision, hence the tolerance;
with the same rounding, tags differ by less than 3e-6. (The original repeats its first patch's
features for all patches, so features are compared of the first alone.)
"""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluate import musicnn

OVERLAP = 61 * musicnn.HOP / musicnn.RATE  # s: what the original makes of 1.0
TAGS = ("rock", "electronic", "jazz", "folk", "ambient", "experimental")
PROBABILITIES = (
    (0.103, 0.2463, 0.0325, 0.0178, 0.2266, 0.1944),
    (0.0997, 0.2058, 0.044, 0.0191, 0.2192, 0.2203),
    (0.1156, 0.1763, 0.0399, 0.0236, 0.1885, 0.2191),
    (0.0891, 0.2253, 0.0315, 0.0145, 0.2391, 0.2728),
    (0.089, 0.2539, 0.0234, 0.0134, 0.2455, 0.2275),
    (0.0987, 0.2399, 0.0207, 0.0132, 0.2372, 0.2213),
    (0.0956, 0.2397, 0.0252, 0.0142, 0.2466, 0.2339),
)
FEATURES = (  # each twentieth of the first patch
    -0.1772,
    -0.2119,
    -0.1359,
    -0.2499,
    1.2525,
    -0.3526,
    -0.1574,
    1.4971,
    -0.4472,
    2.153,
)


def music() -> np.ndarray:
    """Nine seconds of a struck chord with vibrato over noise, at 16 kHz."""
    time = np.arange(9 * musicnn.RATE) / musicnn.RATE
    vibrato = 1 + 0.01 * np.sin(time)
    partials = enumerate((110, 220, 277, 330, 440, 1760), 1)
    chord = sum(np.sin(2 * np.pi * hertz * time * vibrato) / n for n, hertz in partials)
    noise = np.random.default_rng(5).normal(size=len(time))
    return (0.1 * chord * (1 - time % 0.5) + 0.02 * noise).astype(np.float32)


def test_the_port_says_what_the_original_says() -> None:
    path = musicnn.checkpoint_path()
    if path is None:
        pytest.skip("musicnn is not installed")
    features, tags = musicnn.MusicNN(path)(musicnn.patches(music(), musicnn.RATE, OVERLAP))
    columns = [musicnn.MSD_TAGS.index(tag) for tag in TAGS]
    np.testing.assert_allclose(tags[:, columns], PROBABILITIES, atol=3e-4)
    np.testing.assert_allclose(features[0, ::20], FEATURES, atol=2e-3)
    assert np.abs(features[3] - features[0]).max() > 0.1  # patches differ, so the first is no luck
