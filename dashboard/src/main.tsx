import { render } from "preact";
import { App } from "./app";
import { listenForKeys } from "./parts/keys";
import { applyTheme } from "./parts/theme";

applyTheme();
listenForKeys();
const place = document.getElementById("app")!;
place.textContent = "";
render(<App />, place);
