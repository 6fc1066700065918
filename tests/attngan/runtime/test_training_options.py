import subprocess
import sys
from dataclasses import replace

import pytest

from attngan.runtime.training_options import TrainingOptions
from attngan.training.classifier_config import ClassifierConfig
from attngan.training.damsm_config import DamsmTrainingConfig
from attngan.training.gan_config import GanConfig
from datasets.errors import InputError

CONFIGS = (TrainingOptions, ClassifierConfig, DamsmTrainingConfig, GanConfig)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pictures", 0),
        ("batch_size", 1),
        ("ema_pictures", 0),
        ("validate_every", 0),
        ("checkpoint_every", 0),
        ("log_every", 0),
        ("threads", -1),
        ("seed", -1),
        ("precision", "16-true"),
    ],
)
def test_every_training_checks_what_all_share(config, field, value):
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')} {value}: "):
        replace(config(), **{field: value})


def test_options_are_there_before_torch_is():
    modules = [f"attngan.training.{name}_config" for name in ("classifier", "damsm", "gan")]
    code = (
        f"import sys, {', '.join(modules)}; print(*sorted({{'torch', 'timm', 'lightning_fabric'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
