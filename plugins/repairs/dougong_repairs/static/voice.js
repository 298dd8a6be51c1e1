// Reads aloud: with the phone's own voice where it has one for the page's language, else with the
// sound that the server made and the phone kept, so that it is heard without network as well.
(function () {
  "use strict";
  const STORE = "repairs sounds", SWITCH = "repairs aloud";

  class Voice {
    constructor() {
      this.changed = () => {};
      this.wanted = new Set();
      this.playing = null;
      if (window.speechSynthesis && speechSynthesis.addEventListener) {
        speechSynthesis.addEventListener("voiceschanged", () => this.changed());
      }
    }

    get isOn() { return localStorage.getItem(SWITCH) === "on"; }
    set isOn(value) { localStorage.setItem(SWITCH, value ? "on" : "off"); }

    get isMute() {
      if (!window.speechSynthesis || !window.SpeechSynthesisUtterance) return true;
      const language = document.documentElement.lang.slice(0, 2).toLowerCase();
      return !speechSynthesis.getVoices().some((voice) => voice.lang.toLowerCase().startsWith(language));
    }

    // Resolves when it was read, to false when nothing could read it.
    async say(text, address) {
      this.hush();
      if (!this.isMute && await this.speak(text)) return true;
      return address ? this.play(address) : false;
    }

    hush() {
      if (window.speechSynthesis) speechSynthesis.cancel();
      if (this.playing) { this.playing.onended = null; this.playing.stop(); this.playing = null; }
    }

    speak(text) {
      return new Promise((resolve) => {
        const said = new SpeechSynthesisUtterance(text);
        said.lang = document.documentElement.lang;
        said.onend = () => resolve(true);
        said.onerror = (event) => resolve(event.error === "interrupted" || event.error === "canceled");
        speechSynthesis.speak(said);
      });
    }

    async play(address) {
      try {
        this.context = this.context || new AudioContext();
        await this.context.resume();
        const answer = await this.kept(address) || await fetch(address);
        if (!answer.ok) return false;
        const source = this.context.createBufferSource();
        source.buffer = await this.context.decodeAudioData(await answer.arrayBuffer());
        source.connect(this.context.destination);
        return await new Promise((resolve) => {
          source.onended = () => resolve(true);
          this.playing = source;
          source.start();
        });
      } catch (error) {
        return false;
      }
    }

    async kept(address) {
      return window.caches ? (await caches.open(STORE)).match(address) : null;
    }

    // Keep the sounds of these addresses on a phone that cannot speak, and let go of all others.
    async keep(addresses) {
      const wanted = new Set(addresses.filter(Boolean));
      if (!window.caches || !this.isMute || !navigator.onLine || same(wanted, this.wanted)) return;
      this.wanted = wanted;
      try {
        const store = await caches.open(STORE);
        for (const request of await store.keys()) {
          const url = new URL(request.url);
          if (!wanted.has(url.pathname + url.search)) await store.delete(request);
        }
        for (const address of wanted) {
          if (await store.match(address)) continue;
          const answer = await fetch(address);
          if (answer.ok && !answer.redirected) await store.put(address, answer);
        }
      } catch (error) {
        this.wanted = new Set();
      }
    }
  }

  function same(one, other) {
    return one.size === other.size && Array.from(one).every((each) => other.has(each));
  }

  window.Voice = Voice;
})();
