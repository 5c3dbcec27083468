import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

// The package as it stands beside the demo, without an installation.
export default {
  resolve: {
    alias: [
      { find: "mote-runtime/audio", replacement: here("../npm/audio/audio.js") },
      { find: "mote-runtime/page", replacement: here("../npm/page/page.js") },
      { find: /^mote-runtime$/, replacement: here("../npm/src/index.js") },
    ],
  },
  build: {
    rollupOptions: { input: [here("index.html"), here("digits.html")] },
    // Worklets are loaded from addresses, not from text.
    assetsInlineLimit: 0,
  },
  server: { fs: { allow: [here("..")] } },
};
