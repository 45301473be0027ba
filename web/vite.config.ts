// SPDX-License-Identifier: Apache-2.0
// Builds the page into $CASEMATE_WEB_OUT (default ../build/web): hashed names, each file also as .gz and .br, and the
// manifest from which casemated serves them.
import {createHash} from 'node:crypto';
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join, relative} from 'node:path';
import {brotliCompressSync, constants, gzipSync} from 'node:zlib';
import react from '@vitejs/plugin-react';
import {defineConfig, type Plugin} from 'vite';

const TYPES: Record<string, string> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
  woff2: 'font/woff2',
};

function filesBelow(folder: string): string[] {
  return readdirSync(folder, {withFileTypes: true})
    .flatMap(entry => entry.isDirectory() ? filesBelow(join(folder, entry.name)) : [join(folder, entry.name)])
    .sort();
}

function compressAndList(): Plugin {
  let out = '';
  return {
    name: 'compress-and-list',
    apply: 'build',
    configResolved(config) { out = config.build.outDir; },
    closeBundle() {
      const files = filesBelow(out).map(file => {
        const path = relative(out, file);
        const extension = path.split('.').pop() ?? '';
        const type = TYPES[extension];
        if (type === undefined) throw new Error(`${path}: no media type for .${extension}`);
        const body = readFileSync(file);
        const encodings: string[] = [];
        if (extension !== 'woff2' && body.length > 512) {
          writeFileSync(file + '.br', brotliCompressSync(body, {params: {[constants.BROTLI_PARAM_QUALITY]: 10}}));
          writeFileSync(file + '.gz', gzipSync(body, {level: 9}));
          encodings.push('br', 'gzip');
        }
        const sha256 = createHash('sha256').update(body).digest('hex');
        return {path, type, immutable: path.startsWith('assets/'), encodings, sha256};
      });
      writeFileSync(join(out, 'manifest.json'), JSON.stringify({files}, null, 1) + '\n');
    },
  };
}

export default defineConfig({
  base: '/console/',
  plugins: [react(), compressAndList()],
  build: {
    outDir: process.env['CASEMATE_WEB_OUT'] ?? '../build/web',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: {polyfill: false},
    reportCompressedSize: false,
    chunkSizeWarningLimit: 2000,
  },
});
