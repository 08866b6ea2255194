"""Packaging of OccStudio. Nothing is compiled: `pip install -e .` only links the package."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = {}
exec((ROOT / "mmdet3d_plugin" / "version.py").read_text(), VERSION)

setup(
    name="occstudio",
    version=VERSION["__version__"],
    description="Camera-based 3D semantic occupancy and occupancy flow prediction",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["mmdet3d_plugin", "mmdet3d_plugin.*"]),
    package_data={"mmdet3d_plugin.visualization": ["assets/*"]},
    python_requires=">=3.10,<3.14",
    install_requires=[
        "torch>=2.4",
        "onedl-mmengine>=0.10.12,<0.11",
        "numpy>=1.26,<3",
        "scipy>=1.11",
        "opencv-python-headless>=4.9",
        "pillow>=10.1",
        "safetensors>=0.4.3",
        "einops>=0.7",
        "tqdm>=4.66",
        "platformdirs>=4",
        "rich>=13",
        "numba>=0.60",
        "setuptools>=69",  # mmengine imports pkg_resources, which Python 3.12 no longer ships
    ],
    extras_require={
        "fast": ["simplejpeg>=1.7"],
        "dev": [
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "ruff>=0.6",
            "mypy>=1.10",
            "tensorboard>=2.16",
            "triton>=3.1; platform_system == 'Linux'",
        ],
    },
    entry_points={"console_scripts": ["occstudio=mmdet3d_plugin.cli:main"]},
)
