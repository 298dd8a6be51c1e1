"""The structured file of a fully digital invoice (数电票).

Source: 财会便函〔2023〕18号, the electronic voucher standard's EInvoice.
"""

from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from dougong.documents import chinese_amount
from dougong_invoices.provider import InvoiceRequest

ORDINARY, BUREAU = "02", ("00000000000", "测试·非税务机关")


def einvoice(request: InvoiceRequest, number: str, issued_at: datetime) -> bytes:
    """Return the EInvoice XML of an issued request. The time is that of the request's zone."""
    root = Element("EInvoice")
    _header(SubElement(root, "Header"), request, number)
    _data(SubElement(root, "EInvoiceData"), request)
    supervision = {
        "InvoiceNumber": number,
        "IssueTime": f"{issued_at:%Y-%m-%d %H:%M:%S}",
        "TaxBureauCode": BUREAU[0],
        "TaxBureauName": BUREAU[1],
    }
    _texts(SubElement(root, "TaxSupervisionInfo"), supervision)
    return tostring(root, encoding="utf-8", xml_declaration=True)


def _texts(parent: Element, values: dict[str, object]) -> None:
    for name, value in values.items():
        SubElement(parent, name).text = str(value)


def _header(header: Element, request: InvoiceRequest, number: str) -> None:
    _texts(header, {"EIid": number, "EInvoiceTag": "SWEI3200", "Version": "0.2"})
    inherent = SubElement(header, "InherentLabel")
    _coded(inherent, "InIssuType", "Y" if request.credits is None else "N")
    _coded(inherent, "EInvoiceType", "02")
    _coded(inherent, "GeneralOrSpecialVAT", ORDINARY)


def _coded(parent: Element, name: str, code: str) -> None:
    SubElement(SubElement(parent, name), "LabelCode").text = code


def _data(data: Element, request: InvoiceRequest) -> None:
    seller = {"SellerIdNum": request.seller.tax_number or "", "SellerName": request.seller.name}
    _texts(SubElement(data, "SellerInformation"), seller)
    buyer = {"BuyerIdNum": request.buyer.tax_number or "", "BuyerName": request.buyer.name}
    _texts(SubElement(data, "BuyerInformation"), buyer)
    words = chinese_amount(abs(request.total))
    basic = {
        "TotalAmWithoutTax": request.net,
        "TotalTaxAm": request.tax,
        "TotalTax-includedAmount": request.total,
        "TotalTax-includedAmountInChinese": words if request.total >= 0 else f"（负数）{words}",
        "Drawer": request.drawer,
        "RequestTime": f"{request.requested_at:%Y-%m-%d %H:%M:%S}",
    }
    _texts(SubElement(data, "BasicInformation"), basic)
    for line in request.lines:
        values = {
            "ItemName": line.name,
            "Amount": line.net,
            "TaxRate": line.rate.normalize(),
            "ComTaxAm": line.tax,
            "TotaltaxIncludedAmount": line.total,
            "TaxClassificationCode": line.tax_code,
        }
        _texts(SubElement(data, "IssuItemInformation"), values)
    remark = f"红字：{request.credits} {request.remark}" if request.credits else request.remark
    _texts(SubElement(data, "AdditionalInformation"), {"Remark": remark})
