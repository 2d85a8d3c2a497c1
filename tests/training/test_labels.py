"""What reports and legends call a learner: its method with its settings, or the name that the user gave."""

import keras
import pytest

import tfmeta
from tfmeta.datasets import sinusoid_episodes


def mlp():
    return tfmeta.networks.mlp(hidden=(4,))


def image_network(n_way=None):
    return tfmeta.networks.conv4(n_way, filters=2, input_shape=(16, 16, 1))


LABELS = {
    "MAML": lambda **name: tfmeta.MAML(mlp(), **name),
    "FOMAML": lambda **name: tfmeta.MAML(mlp(), first_order=True, **name),
    "ANIL": lambda **name: tfmeta.ANIL(mlp(), **name),
    "first-order ANIL": lambda **name: tfmeta.ANIL(mlp(), first_order=True, **name),
    "ProtoMAML": lambda **name: tfmeta.ProtoMAML(image_network(), **name),
    "first-order ProtoMAML": lambda **name: tfmeta.ProtoMAML(image_network(), first_order=True, **name),
    "Reptile": lambda **name: tfmeta.Reptile(mlp(), **name),
    "PrototypicalNetwork": lambda **name: tfmeta.PrototypicalNetwork(image_network(), **name),
}


@pytest.mark.parametrize("label", LABELS)
def test_settings_say_what_the_method_is_called(label):
    assert LABELS[label]().label == label


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("given", [None, "small net"])
def test_the_users_name_comes_first_and_is_saved(label, given, tmp_path):
    learner = LABELS[label](name=given)
    learner.save(tmp_path / "learner.keras")
    for one in (learner, keras.models.load_model(tmp_path / "learner.keras")):
        assert (one.label, one.method_label) == (given or label, label)


def test_curves_and_scores_say_it():
    waves = sinusoid_episodes(k_shot=3, n_query=3, meta_batch_size=2, seed=0).take(1)
    plain, named = LABELS["FOMAML"](), LABELS["FOMAML"](name="small net")
    assert tfmeta.adaptation_curve(plain, waves, 1).label == "FOMAML"
    curve = tfmeta.adaptation_curve(named, waves, 1)
    assert curve.label == "small net"
    assert str(curve).startswith("small net: ")
    assert curve.labelled("before").label == "before"
    assert tfmeta.adaptation_curve(named, waves, 1, label="frozen").label == "frozen"
    assert tfmeta.evaluate(plain, waves).method == "FOMAML"
    assert tfmeta.evaluate(named, waves).method == "small net (FOMAML)"
    for bad in ("", 3):
        with pytest.raises(ValueError, match=r"label must be a text. Received: label="):
            tfmeta.adaptation_curve(named, waves, 1, label=bad)
