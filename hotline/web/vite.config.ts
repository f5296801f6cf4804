import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

// BACKEND is the running program (or dev/mock.mjs) that `npm run dev` talks to.
const backend = process.env.BACKEND ?? 'http://127.0.0.1:8345'

export default defineConfig({
  plugins: [vue()],
  build: {
    outDir: 'dist',
    emptyOutDir: true, // public/placeholder comes back with every build
    modulePreload: { polyfill: false }, // the polyfill would be an inline script
    chunkSizeWarningLimit: 1200,
    assetsInlineLimit: 0,
    rolldownOptions: {
      output: {
        codeSplitting: { groups: [{ name: 'vendor', test: /node_modules/ }] },
      },
    },
  },
  server: {
    host: '127.0.0.1',
    proxy: {
      '/api': backend,
      '/ws': { target: backend, ws: true },
    },
  },
  test: {
    environment: 'node',
    include: ['src/**/*.test.ts'],
    pool: 'threads',
    testTimeout: 10_000,
  },
})
