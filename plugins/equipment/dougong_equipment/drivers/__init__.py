"""Drivers of equipment: Modbus by profile, and what pushes JSON over HTTP or MQTT."""
