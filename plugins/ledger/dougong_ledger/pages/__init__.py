"""Pages of the ledger beyond the books: paying through channels, reconciliation, the bank."""

from dougong.web.app import plugin_blueprint

blueprint = plugin_blueprint("ledger", "dougong_ledger", static_folder="static")
