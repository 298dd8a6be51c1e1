from dougong.testing.conformance import PluginConformance


class TestConformance(PluginConformance):
    plugin = "online_payment"
