// The carry chain of a slice of UltraScale+ for simulation alone; synthesis has the vendor's.
//
// Ref: AMD UG574, "UltraScale Architecture Configurable Logic Block", carry logic: O is S xor the carry into a bit, CO the
// carry out of it, which is DI where S is zero. DUAL_CY4 has two chains of four bits.
`ifdef VERILATOR
module CARRY8 #(parameter CARRY_TYPE = "SINGLE_CY8") (
    output wire [7:0] CO, output wire [7:0] O, input wire CI, input wire CI_TOP, input wire [7:0] DI, input wire [7:0] S
);
    // A bit's carry out is that of DI + (DI ^ S): it goes on where S is one, and is DI where S is zero.
    wire [7:0] other = DI ^ S;
    wire low_out, high_out;
    assign {low_out, O[3:0]} = {1'b0, DI[3:0]} + {1'b0, other[3:0]} + {4'b0, CI};
    assign {high_out, O[7:4]} = {1'b0, DI[7:4]} + {1'b0, other[7:4]} + {4'b0, CARRY_TYPE == "DUAL_CY4" ? CI_TOP : low_out};
    assign CO = {high_out, O[7:5] ^ S[7:5], low_out, O[3:1] ^ S[3:1]};
endmodule
`endif
