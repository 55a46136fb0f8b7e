// The browser of the tests: Debian's, or the one that CHROMIUM_BIN names.

import { existsSync } from "node:fs";

export function chromiumPath(): string {
	const known = [process.env.CHROMIUM_BIN, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
	const path = known.find((path) => path !== undefined && existsSync(path));
	if (path === undefined) {
		throw new Error("No Chromium: install it, or set CHROMIUM_BIN to its path.");
	}
	return path;
}

export const CHROMIUM_FLAGS = [
	"--headless",
	"--no-sandbox",
	"--disable-gpu",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
];
