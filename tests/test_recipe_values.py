"""The recipes have the training settings that the papers state."""

from typing import Any

import pytest

from cxrloc.recipe import read_recipe
from cxrloc.recipe_names import RECIPES

IMAGENET = {"preprocessing.mean": (0.485, 0.456, 0.406), "preprocessing.std": (0.229, 0.224, 0.225)}
TENSORFLOW = {"preprocessing.mean": (0.5, 0.5, 0.5), "preprocessing.std": (0.5, 0.5, 0.5)}
CHESTXRAY8 = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration"),
    *("Mass", "Nodule", "Pneumonia", "Pneumothorax"),
)
SIX_MORE = ("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia")

WANG = {
    # Section 4: 70/10/20 by patient, SGD, batch size x iter size = 80, 10,000 iterations for
    # ResNet-50. Section 3.1: W-CEL, 1024 x 1024 images and S = 32.
    "start": "imagenet",
    "data.reader": "chestxray14",
    "data.boxed_patients": "left_out",
    "data.split.kind": "ratios",
    "data.split.ratios": (0.7, 0.1, 0.2),
    "preprocessing.size": 1024,
    "preprocessing.fit": "squash",
    "preprocessing.source_size": 1024,
    "preprocessing.bit_depth": 8,
    **IMAGENET,
    "network.backbone": "resnet50",
    "network.findings": CHESTXRAY8,
    "network.input_channels": 3,
    "network.output_stride": 32,
    "network.transition_channels": None,
    "network.pooling": "lse",
    "network.pooling_parameters.r": 10.0,
    "augmentation.mirror": 0.0,
    "augmentation.crop_area": (1.0, 1.0),
    "fit.batch_size": 80,
    "fit.accumulation": 10,
    "fit.steps": 10000,
    "fit.loss": "w_cel",
    "fit.optimizer": "sgd",
    "fit.momentum": 0.9,
    "fit.weight_decay": 5e-4,
    "fit.keep": "best",
    "fit.schedule.name": "constant",
    "fit.schedule.learning_rate": 1e-3,
}
BALTRUSCHAT = {
    # Experiments: five resamplings of 70/10/20 by patient; 256 (480) and its centre; crops of 8 to
    # 100 % of the area, 3:4 to 4:3; 7 degrees; flips; Adam; batches of 16 and 8; 0.001 and 0.01,
    # halved when the validation loss does not improve. 15 outputs.
    "start": "imagenet",
    "data.reader": "chestxray14",
    "data.boxed_patients": "drawn",
    "data.split.kind": "resamplings",
    "data.split.folds": 5,
    "data.split.ratios": (0.7, 0.1, 0.2),
    "preprocessing.size": 224,
    "preprocessing.crop_from": 256,
    "preprocessing.source_size": 1024,
    "preprocessing.bit_depth": 8,
    **IMAGENET,
    "augmentation.crop_area": (0.08, 1.0),
    "augmentation.crop_aspect": (0.75, 1.333),
    "augmentation.rotation_degrees": 7.0,
    "augmentation.mirror": 0.5,
    "network.architecture": "localizer",
    "network.backbone": "resnet50",
    "network.findings": (*CHESTXRAY8, *SIX_MORE, "No Finding"),
    "network.input_channels": 3,
    "network.output_stride": 32,
    "network.transition_channels": 0,
    "network.pooling": "average",
    "fit.batch_size": 16,
    "fit.accumulation": 1,
    "fit.epochs": 60,
    "fit.loss": "class_averaged",
    "fit.optimizer": "adam",
    "fit.momentum": 0.9,
    "fit.weight_decay": 0.0,
    "fit.backbone_rate": 1.0,
    "fit.stop_after": 8,
    "fit.keep": "best",
    "fit.schedule.name": "plateau",
    "fit.schedule.learning_rate": 1e-3,
    "fit.schedule.decay": 0.5,
    "fit.schedule.patience": 0,
}
ONE_CHANNEL = {
    "start": "scratch",
    "preprocessing.mean": (0.5,),
    "preprocessing.std": (0.25,),
    "network.input_channels": 1,
    "fit.schedule.learning_rate": 1e-2,
}
LARGE = {
    **ONE_CHANNEL,
    "preprocessing.size": 448,
    "preprocessing.crop_from": 480,
    "network.backbone": "resnet50_large",
    "network.output_stride": 64,
    "fit.batch_size": 8,
}
META = {"network.architecture": "meta"}
OFFICIAL = {
    **LARGE,
    **META,
    "data.split.kind": "official",
    "data.split.folds": 0,
    "data.boxed_patients": "test",
}
DONG = {
    # Section IV: 256 x 256, 80/10/10, crops of 224 x 224; classes of table I. Section V: 60 images
    # per iteration, 800 iterations for task 1.
    "start": "imagenet",
    "data.reader": "openi",
    "data.split.kind": "ratios",
    "data.split.ratios": (0.8, 0.1, 0.1),
    "preprocessing.size": 224,
    "preprocessing.crop_from": 256,
    "preprocessing.source_size": 0,
    **IMAGENET,
    "augmentation.whole_pixel_crop": True,
    "augmentation.mirror": 0.0,
    "network.backbone": "vgg16",
    "network.input_channels": 3,
    "network.transition_channels": 0,
    "network.pooling": "average",
    "fit.batch_size": 60,
    "fit.steps": 4000,
    "fit.loss": "softmax",
    "fit.optimizer": "sgd",
    "fit.momentum": 0.9,
    "fit.weight_decay": 5e-4,
    "fit.sampling": "single_label",
    "fit.schedule.name": "constant",
    "fit.schedule.learning_rate": 1e-3,
}
PHAM = {
    # Section 4.2 and 4.3: template of 224 in 256, ImageNet's mean and deviation, Adam, batches of
    # 32, 1e-4 divided by 10 after each of 5 epochs. Frontal images, 14 outputs.
    "start": "imagenet",
    "data.reader": "chexpert",
    "data.views": ("PA", "AP"),
    "data.split.kind": "official",
    "data.condition": "",
    "data.not_mentioned": "negative",
    "preprocessing.size": 224,
    "preprocessing.fit": "template",
    "preprocessing.source_size": 0,
    **IMAGENET,
    "augmentation.mirror": 0.0,
    "network.backbone": "densenet121",
    "network.input_channels": 3,
    "network.transition_channels": 0,
    "network.pooling": "average",
    "fit.batch_size": 32,
    "fit.epochs": 5,
    "fit.loss": "cel",
    "fit.optimizer": "adam",
    "fit.momentum": 0.9,
    "fit.weight_decay": 0.0,
    "fit.backbone_rate": 1.0,
    "fit.keep": "best",
    "fit.schedule.name": "step",
    "fit.schedule.learning_rate": 1e-4,
    "fit.schedule.decay_every_epochs": 1,
    "fit.schedule.decay": 0.1,
}
TWO_STAGES = {
    # Section 3.2: stage 1 on labels whose parents are positive, stage 2 the last layer on all.
    "data.condition": "parent",
    "head.batch_size": 32,
    "head.epochs": 5,
    "head.loss": "cel",
    "head.optimizer": "adam",
    "head.backbone_rate": 0.0,
    "head.schedule.name": "step",
    "head.schedule.learning_rate": 1e-4,
    "head.schedule.decay_every_epochs": 1,
    "head.schedule.decay": 0.1,
}
RUBIN = {
    # Section 5: 70/10/20 by patient, nearest neighbour to 512 x 512, crop, / 4095, uncertain is
    # negative. Section 6: ImageNet, no augmentation, Adam, triangular2 from 0.001 to 0.02,
    # stratified batches. Section 4: one input channel, average pooling.
    "start": "imagenet",
    "data.reader": "mimic_cxr",
    "data.split.kind": "ratios",
    "data.split.ratios": (0.7, 0.1, 0.2),
    "data.uncertain": "zeros",
    "data.uncertain_truth": "negative",
    "data.not_mentioned": "negative",
    "data.no_finding": "outputs",
    "data.pairing": "first",
    "preprocessing.size": 512,
    "preprocessing.fit": "crop",
    "preprocessing.crop_from": 0,
    "preprocessing.source_size": 0,
    "preprocessing.bit_depth": 12,
    "preprocessing.mean": (0.0,),
    "preprocessing.std": (1.0,),
    "preprocessing.grey": "stored",
    "preprocessing.interpolation": "nearest",
    "augmentation.mirror": 0.0,
    "augmentation.rotation_degrees": 0.0,
    "network.architecture": "localizer",
    "network.backbone": "densenet121",
    "network.input_channels": 1,
    "network.transition_channels": 0,
    "network.pooling": "average",
    "fit.batch_size": 64,
    "fit.epochs": 12,
    "fit.loss": "cel",
    "fit.optimizer": "adam",
    "fit.momentum": 0.9,
    "fit.weight_decay": 0.0,
    "fit.sampling": "stratified",
    "fit.keep": "best",
    "fit.schedule.name": "triangular2",
    "fit.schedule.base_learning_rate": 0.001,
    "fit.schedule.learning_rate": 0.02,
    "fit.schedule.half_cycle_epochs": 2,
}


OF_TIMM: dict[str, Any] = {
    # DeiT: table 9; ConvNeXt: appendix A.1. Both end without a transition layer.
    "network__transition_channels": 0,
    "network__pooling_parameters__r": None,
    "fit__optimizer": "adamw",
    "fit__weight_decay": 0.05,
    "fit__schedule__learning_rate": 5e-5,
}


def wang(**changes: Any) -> dict[str, Any]:
    return {**WANG, **{key.replace("__", "."): value for key, value in changes.items()}}


def ensemble(backbone: str, own: dict[str, Any] = IMAGENET) -> dict[str, Any]:
    """One of Pham's six networks: the best row of table 1 on another backbone."""
    best = {**PHAM, **TWO_STAGES, "data.uncertain": "ones_lsr"}
    return {**best, **own, "network.backbone": backbone}


VALUES: dict[str, dict[str, Any]] = {
    "wang2017_resnet50_lse": WANG,
    **{
        f"wang2017_resnet50_lse_r{r}": wang(network__pooling_parameters__r=float(r))
        for r in ["0.1", "0.5", "1", "5", "8", "12"]
    },
    "wang2017_resnet50_average": wang(
        network__pooling="average", network__pooling_parameters__r=None
    ),
    "wang2017_resnet50_max": wang(network__pooling="max", network__pooling_parameters__r=None),
    # Poolings of logit maps, on Wang's network.
    **{
        name: wang(
            network__head="predict_then_pool",
            network__pooling=pooling,
            network__pooling_parameters__r=None,
            **own,
        )
        for name, pooling, own in (
            ("ye2020_resnet50_pcam", "pcam", {}),
            ("li2018_resnet50_noisy_or", "noisy_or", {}),
            ("yao2018_resnet50_lse_learned", "lse_learned", {}),
            ("wang2019_resnet50_linear_softmax", "linear_softmax", {}),
            (
                "durand2017_resnet50_wildcat",
                "highest_and_lowest",
                {
                    "network__maps_per_finding": 4,
                    "network__pooling_parameters__highest": 0.1,
                    "network__pooling_parameters__lowest": 0.1,
                    "network__pooling_parameters__alpha": 0.7,
                },
            ),
        )
    },
    "preechakul2022_resnet50_pylon": wang(
        preprocessing__size=512,
        network__decoder="pylon",
        network__output_stride=4,
        network__head="predict_then_pool",
        network__pooling="max",
        network__pooling_parameters__r=None,
    ),
    "touvron2021_vit_small": wang(
        preprocessing__size=512,
        network__backbone="timm:deit_small_patch16_224",
        network__output_stride=16,
        network__pooling="average",
        **OF_TIMM,
    ),
    "liu2022_convnext_tiny": wang(
        preprocessing__size=512,
        network__backbone="timm:convnext_tiny",
        network__pooling="average_normalised",
        **OF_TIMM,
    ),
    **{f"wang2017_resnet50_{loss}": wang(fit__loss=loss) for loss in ("cel", "euclidean", "hinge")},
    "wang2017_alexnet_lse": wang(network__backbone="alexnet", fit__steps=20000),
    "wang2017_googlenet_lse": {
        **wang(network__backbone="googlenet", fit__steps=20000),
        **TENSORFLOW,
    },
    "wang2017_vgg16_lse": wang(network__backbone="vgg16", fit__steps=20000),
    "wang2017_resnet50_14": wang(
        network__findings=(*CHESTXRAY8, *SIX_MORE),
        data__split__kind="official",
        data__boxed_patients="test",
    ),
    "baltruschat2019_ft": BALTRUSCHAT,
    "baltruschat2019_ft_meta": {**BALTRUSCHAT, **META},
    "baltruschat2019_ots": {**BALTRUSCHAT, "fit.backbone_rate": 0.0},
    "baltruschat2019_ots_meta": {**BALTRUSCHAT, **META, "fit.backbone_rate": 0.0},
    "baltruschat2019_1channel": {**BALTRUSCHAT, **ONE_CHANNEL},
    "baltruschat2019_1channel_meta": {**BALTRUSCHAT, **ONE_CHANNEL, **META},
    "baltruschat2019_large": {**BALTRUSCHAT, **LARGE},
    "baltruschat2019_large_meta": {**BALTRUSCHAT, **LARGE, **META},
    **{
        f"baltruschat2019_official_{name}": {
            **BALTRUSCHAT,
            **OFFICIAL,
            "network.backbone": f"{name}_large",
        }
        for name in ("resnet38", "resnet50", "resnet101")
    },
    "dong2017_single_vgg16": DONG,
    "dong2017_single_resnet101": {**DONG, "network.backbone": "resnet101"},
    "dong2017_normal_vgg16": {
        **DONG,
        "network.findings": ("No Finding",),
        "augmentation.whole_pixel_crop": False,
        "fit.steps": 800,
        "fit.loss": "cel",
        "fit.sampling": "shuffled",
    },
    **{
        f"pham2019_{policy}{stages}{smoothed}": {
            **PHAM,
            **(TWO_STAGES if stages else {"head": None}),
            "data.uncertain": f"{policy}{smoothed}",
        }
        for policy in ("ignore", "zeros", "ones")
        for stages in ("", "_ct")
        for smoothed in ("", *(["_lsr"] if policy != "ignore" else []))
    },
    "pham2019_densenet169": ensemble("densenet169"),
    "pham2019_densenet201": ensemble("densenet201"),
    "pham2019_inception_resnet_v2": ensemble("inception_resnet_v2", TENSORFLOW),
    "pham2019_xception": ensemble("xception", TENSORFLOW),
    "pham2019_nasnet_large": ensemble("nasnet_large", TENSORFLOW),
    "rubin2018_pa": {**RUBIN, "data.views": ("PA",)},
    "rubin2018_ap": {**RUBIN, "data.views": ("AP",)},
    "rubin2018_lateral": {**RUBIN, "data.views": ("LATERAL",)},
    **{
        f"rubin2018_dualnet_{view}": {
            **RUBIN,
            "data.views": (view.upper(), "LATERAL"),
            "network.architecture": "dualnet",
        }
        for view in ("pa", "ap")
    },
}
"""Recipe -> key -> value. What a paper leaves open is what the recipe's `Open:` lines say."""


def value_of(recipe: Any, key: str) -> Any:
    for name in key.split("."):
        recipe = getattr(recipe, name)
    return recipe


@pytest.mark.parametrize("name", VALUES)
def test_a_recipe_does_what_its_paper_says(name: str) -> None:
    recipe = read_recipe(name)
    assert {key: value_of(recipe, key) for key in VALUES[name]} == VALUES[name]


def test_every_recipe_of_a_paper_is_held_against_it() -> None:
    ours = {name for name in RECIPES if not name.startswith(("nih_small", "phantom"))}
    assert ours == set(VALUES)
