"""Drivers of meters: Modbus by profile, DL/T 645-2007, and meters that push JSON."""
