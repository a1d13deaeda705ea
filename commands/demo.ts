import { demo } from "../src/session/demo.js";
import { arrivedLines, downLines, droppedLines, startedLines } from "../src/view/demo.js";
import { BaseCommand } from "./base/command.js";

export default class Demo extends BaseCommand {
  static override summary = "The five-minute tour: builds a lab, follows a request through NAT, breaks one, cleans up";
  static override examples = ["<%= config.bin %> demo"];
  // A tour is for people.
  static override enableJsonFlag = false;

  async run(): Promise<void> {
    await this.parse(Demo);
    const tell = (lines: readonly string[]): void => {
      process.stdout.write(`${lines.join("\n")}\n\n`);
    };
    await demo(
      {
        onUp: (result, command) => tell(startedLines(result, command, this.ink)),
        onArrived: (result) => tell(arrivedLines(result, this.ink)),
        onDropped: (result) => tell(droppedLines(result, this.ink)),
        onDown: (result) => tell(downLines(result, this.ink)),
        onWarning: (text) => this.warning(text),
      },
      this.interruptible(),
    );
  }
}
