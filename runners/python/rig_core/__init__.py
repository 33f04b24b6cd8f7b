"""What packs for Python are written against. Carried by rig itself; never fetched from a registry."""

__version__ = "0.1.0"
