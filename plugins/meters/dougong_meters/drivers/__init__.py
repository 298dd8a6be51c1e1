"""Drivers of meters: Modbus by profile, DL/T 645-2007, CJ/T 188-2004, and meters that push."""
