import { Component, type ReactNode, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import "./styles.css";

/** What is shown instead of a page that failed. */
class Fallback extends Component<{ children: ReactNode }, { failed: boolean }> {
	override state = { failed: false };

	static getDerivedStateFromError() {
		return { failed: true };
	}

	override render() {
		return this.state.failed ? (
			<p className="starting" role="alert">
				Something on this page failed. <a href="/">Load it again</a>.
			</p>
		) : (
			this.props.children
		);
	}
}

createRoot(document.getElementById("root") as HTMLElement).render(
	<StrictMode>
		<Fallback>
			<App />
		</Fallback>
	</StrictMode>,
);
