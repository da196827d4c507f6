// An UltraRAM of UltraScale+, of 4096 words of 72 bits, as Yosys instantiates it: no cascade, pipeline registers, ECC or sleep.
//
// Ref: AMD UG573, "UltraScale Architecture Memory Resources", chapter on UltraRAM: one clock, in each cycle port A goes first and
// port B after it; a port that writes keeps its output; PARITY_INTERLEAVED has enable i write byte i and its parity bit 64 + i,
// PARITY_INDEPENDENT has enable 8 write the parity bits; all words are zero after configuration.
module URAM288 #(
    parameter BWE_MODE_A = "PARITY_INTERLEAVED", parameter BWE_MODE_B = "PARITY_INTERLEAVED",
    parameter CASCADE_ORDER_A = "NONE", parameter CASCADE_ORDER_B = "NONE",
    parameter EN_AUTO_SLEEP_MODE = "FALSE", parameter EN_ECC_RD_A = "FALSE", parameter EN_ECC_RD_B = "FALSE",
    parameter IREG_PRE_A = "FALSE", parameter IREG_PRE_B = "FALSE", parameter OREG_A = "FALSE", parameter OREG_B = "FALSE",
    parameter RST_MODE_A = "SYNC", parameter RST_MODE_B = "SYNC", parameter [0:0] IS_CLK_INVERTED = 1'b0
) (
    input wire CLK, input wire SLEEP,
    input wire [22:0] ADDR_A, input wire [22:0] ADDR_B, input wire [8:0] BWE_A, input wire [8:0] BWE_B,
    input wire [71:0] DIN_A, input wire [71:0] DIN_B, input wire EN_A, input wire EN_B, input wire RDB_WR_A, input wire RDB_WR_B,
    input wire RST_A, input wire RST_B,
    input wire INJECT_DBITERR_A, input wire INJECT_DBITERR_B, input wire INJECT_SBITERR_A, input wire INJECT_SBITERR_B,
    output wire [71:0] DOUT_A, output wire [71:0] DOUT_B
);
    localparam [0:0] IS_PLAIN = CASCADE_ORDER_A == "NONE" && CASCADE_ORDER_B == "NONE" && EN_AUTO_SLEEP_MODE == "FALSE"
        && EN_ECC_RD_A == "FALSE" && EN_ECC_RD_B == "FALSE" && IREG_PRE_A == "FALSE" && IREG_PRE_B == "FALSE"
        && OREG_A == "FALSE" && OREG_B == "FALSE";
    reg [71:0] words [0:4095];
    reg [71:0] mask, kept_a, kept_b;
    // An asynchronous reset shows at once; it must last until the clock.
    assign DOUT_A = RST_MODE_A == "ASYNC" && RST_A ? 72'h0 : kept_a;
    assign DOUT_B = RST_MODE_B == "ASYNC" && RST_B ? 72'h0 : kept_b;
    integer i;
    initial begin
        if (!IS_PLAIN) $fatal(1, "URAM288 must have no cascade, registers, ECC or sleep");
        for (i = 0; i < 4096; i = i + 1) words[i] = 72'h0;
        kept_a = 72'h0;
        kept_b = 72'h0;
    end
    function automatic [71:0] mask_of(input [8:0] enables, input is_apart);
        integer n;
        for (n = 0; n < 8; n = n + 1) begin
            mask_of[8*n +: 8] = {8{enables[n]}};
            mask_of[64+n] = is_apart ? enables[8] : enables[n];
        end
    endfunction
    wire clk = CLK ^ IS_CLK_INVERTED;
    // The ports take their turns within a cycle, which is why the words are written at once.
    always @(posedge clk) begin
        if (RST_A) kept_a <= 72'h0;
        else if (EN_A && !RDB_WR_A) kept_a <= words[ADDR_A[11:0]];
        if (EN_A && RDB_WR_A) begin
            mask = mask_of(BWE_A, BWE_MODE_A == "PARITY_INDEPENDENT");
            words[ADDR_A[11:0]] = (words[ADDR_A[11:0]] & ~mask) | (DIN_A & mask);
        end
        if (RST_B) kept_b <= 72'h0;
        else if (EN_B && !RDB_WR_B) kept_b <= words[ADDR_B[11:0]];
        if (EN_B && RDB_WR_B) begin
            mask = mask_of(BWE_B, BWE_MODE_B == "PARITY_INDEPENDENT");
            words[ADDR_B[11:0]] = (words[ADDR_B[11:0]] & ~mask) | (DIN_B & mask);
        end
    end
endmodule
