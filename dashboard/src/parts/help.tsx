import { Dialog } from "./dialog";
import { activeBindings } from "./keys";

export function Help({ close }: { close: () => void }) {
  return (
    <Dialog title="Keys" close={close}>
      <dl class="keys">
        {activeBindings().map((one) => (
          <div key={one.key}>
            <dt><kbd>{one.key}</kbd></dt>
            <dd>{one.text}</dd>
          </div>
        ))}
      </dl>
      <div class="buttons"><button type="button" autofocus onClick={close}>Close</button></div>
    </Dialog>
  );
}
