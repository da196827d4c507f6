// Runs the bench of netlists: it has a clock and says when it is done.
#include "Vbench.h"
#include "verilated.h"

int main(int count, char** words) {
    VerilatedContext context;
    context.commandArgs(count, words);
    Vbench bench(&context);
    while (!bench.is_done && !context.gotFinish()) {
        bench.clk = 0;
        bench.eval();
        bench.clk = 1;
        bench.eval();
    }
    return bench.is_done ? 0 : 1;
}
