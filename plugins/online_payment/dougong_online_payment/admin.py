"""The admin's view of merchant accounts."""

from dougong.web.admin import RecordView, action
from dougong_online_payment import services
from dougong_online_payment.models import MerchantAccount


class MerchantAccountView(RecordView, model=MerchantAccount):
    title = ("Merchant accounts", "商户号设置")
    icon = "key"
    columns = ("legal_entity", "provider", "number", "app_id", "is_active", "tested_at")
    filters = ("provider", "is_active")
    search = ("number", "app_id")
    actions = (action(services.test_connection),)
    can_import = False
    menu_order = 95
