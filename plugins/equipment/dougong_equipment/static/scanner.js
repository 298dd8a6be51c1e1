// Reads codes with the camera, and NFC tags where the browser can. It asks on a tap and never before;
// what a browser refuses it explains, and a photo or the number on the label do as well.
(function () {
  "use strict";
  const script = document.currentScript;

  // The decoder is large: it comes when there is a picture to read.
  function load(address) {
    return new Promise((done, failed) => {
      const made = document.createElement("script");
      made.addEventListener("load", done);
      made.addEventListener("error", () => failed(new Error(address)));
      made.src = address;
      document.head.append(made);
    });
  }

  // box: an element with data-words; found: called with the text of a code, and for a tag with its
  // number as well.
  class Scanner {
    constructor(box, found) {
      this.box = box;
      this.found = found;
      this.words = JSON.parse(box.dataset.words);
      this.video = box.querySelector("video");
      this.stream = null;
      this.listening = null;
      box.querySelector("[data-tag]").addEventListener("click", () => this.listen());
      box.querySelector("[data-start]").addEventListener("click", () => this.start());
      box.querySelector("[data-stop]").addEventListener("click", () => this.stop());
      box.querySelector("[data-photo]").addEventListener("change", (event) => this.photo(event.target));
      window.addEventListener("pagehide", () => this.stop());
    }

    say(name) {
      const line = this.box.querySelector("[data-told]");
      line.textContent = name ? this.words[name] : "";
      line.dataset.reason = name;
    }

    static async read(picture) {
      if (!Scanner.ready) {
        await load(script.dataset.reader);
        ZXingWASM.prepareZXingModule({ overrides: { locateFile: () => script.dataset.wasm } });
        Scanner.ready = true;
      }
      const codes = await ZXingWASM.readBarcodes(picture, { formats: ["QRCode"], tryHarder: true, maxNumberOfSymbols: 1 });
      return codes.length && codes[0].isValid ? codes[0].text : null;
    }

    async start() {
      this.say("");
      if (!window.isSecureContext || !navigator.mediaDevices) return this.say("insecure");
      try {
        this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
      } catch (error) {
        return this.say(Scanner.reason(error));
      }
      this.video.srcObject = this.stream;
      this.show(true);
      await this.video.play();
      this.look();
    }

    // Why there is no picture: the browser says the same of a page that may not ask and of a no.
    static reason(error) {
      const policy = document.permissionsPolicy || document.featurePolicy;
      if (error.name === "NotAllowedError") return policy && !policy.allowsFeature("camera") ? "blocked" : "denied";
      if (error.name === "NotFoundError" || error.name === "OverconstrainedError") return "none";
      return error.name === "NotReadableError" ? "busy" : "denied";
    }

    async look() {
      const canvas = document.createElement("canvas");
      const pen = canvas.getContext("2d", { willReadFrequently: true });
      while (this.stream) {
        const width = this.video.videoWidth, height = this.video.videoHeight;
        if (width) {
          canvas.width = width; canvas.height = height;
          pen.drawImage(this.video, 0, 0);
          const text = await Scanner.read(pen.getImageData(0, 0, width, height));
          if (text && this.stream) { this.stop(); this.found(text); return; }
        }
        await new Promise((resolve) => setTimeout(resolve, 80));
      }
    }

    async photo(input) {
      const file = input.files[0];
      if (!file) return;
      let text = null;
      try { text = await Scanner.read(file); } catch (error) { text = null; }
      input.value = "";
      if (text) { this.say(""); this.found(text); } else this.say("unread");
    }

    // Wait for a tag to be held to the phone; a tap on the button, or a page that expects one, asks.
    async listen() {
      if (!window.isSecureContext) return this.say("tag_insecure");
      if (!window.NDEFReader) return this.say("tag_unknown");
      this.unlisten();
      const ends = new AbortController();
      const reader = new NDEFReader();
      reader.onreading = (event) => { this.stop(); this.say(""); this.found(Scanner.written(event.message), event.serialNumber); };
      reader.onreadingerror = () => this.say("tag_unread");
      try {
        await reader.scan({ signal: ends.signal });
      } catch (error) {
        return this.say(error.name === "NotAllowedError" ? "tag_denied" : "tag_off");
      }
      this.listening = ends;
      this.say("tag_ready");
    }

    unlisten() {
      if (this.listening) this.listening.abort();
      this.listening = null;
    }

    // The address or text that is written on a tag, "" for an empty one.
    static written(message) {
      const record = message && message.records.find((each) => each.recordType === "url" || each.recordType === "text");
      return record ? new TextDecoder(record.encoding || "utf-8").decode(record.data) : "";
    }

    show(isOn) {
      this.video.hidden = !isOn;
      this.box.querySelector("[data-stop]").hidden = !isOn;
      this.box.querySelector("[data-start]").hidden = isOn;
    }

    stop() {
      if (this.stream) for (const track of this.stream.getTracks()) track.stop();
      this.stream = null;
      this.unlisten();
      this.video.srcObject = null;
      this.show(false);
    }
  }

  // Where a code leads, when it is one of this system; never to another address.
  Scanner.path = function (text) {
    const found = /\/(equipment|repairs)\/at\/[0-9a-f-]{36}\/[\w-]{6,40}$/.exec(text);
    return found ? found[0] : null;
  };

  window.Scanner = Scanner;
  const page = document.querySelector("[data-scan-page]");
  if (page) {
    const scanner = new Scanner(page, (text, number) => {
      const path = Scanner.path(text);
      if (path) { location.href = path; return; }
      scanner.say(number ? "tag_foreign" : "foreign");
      // Who equips a point with a tag writes its number down there.
      if (number) page.querySelector("[data-told]").append(" " + number);
    });
  }
})();
