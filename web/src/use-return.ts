import { useEffect, useRef } from "react";

/** Does something for whoever comes back with the browser's own button, and finds the page as it was left. */
export function useReturn(back: () => void): void {
	const latest = useRef(back);
	latest.current = back;
	useEffect(() => {
		const shown = (event: PageTransitionEvent) => {
			if (event.persisted) {
				latest.current();
			}
		};
		addEventListener("pageshow", shown);
		return () => removeEventListener("pageshow", shown);
	}, []);
}
