// Inside WeChat: hand the prepared payment to the app. Written for its old browsers.
// Source: WeChat Pay merchant documentation, JSAPI (WeixinJSBridge, getBrandWCPayRequest).
(function () {
  var button = document.querySelector("button[data-prepared]");
  if (!button) return;
  var form = document.querySelector("main form");
  var outside = document.querySelector("[data-outside]");
  var cancelled = document.querySelector("[data-cancelled]");
  function pay() {
    if (typeof WeixinJSBridge === "undefined") { outside.hidden = false; return; }
    outside.hidden = cancelled.hidden = true;
    WeixinJSBridge.invoke(
      "getBrandWCPayRequest",
      JSON.parse(button.getAttribute("data-prepared")),
      function (answer) {
        // What the app says decides nothing: the gateway is asked.
        if (answer.err_msg === "get_brand_wcpay_request:ok") form.submit();
        else cancelled.hidden = false;
      }
    );
  }
  button.addEventListener("click", pay);
  if (typeof WeixinJSBridge !== "undefined") pay();
  else {
    document.addEventListener("WeixinJSBridgeReady", pay);
    setTimeout(function () { outside.hidden = typeof WeixinJSBridge !== "undefined"; }, 5000);
  }
})();
