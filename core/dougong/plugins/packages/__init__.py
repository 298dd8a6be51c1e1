"""Packages: how a plugin travels from its maker into an installation, signed and checked.

A package is a wheel with pure Python and a signature beside it. An index lists packages and names
versions that must not run. Nothing of a package runs before it is accepted.
"""
