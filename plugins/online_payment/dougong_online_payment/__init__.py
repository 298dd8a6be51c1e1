"""WeChat Pay and Alipay: two payment channels, built as any vendor builds a third."""
