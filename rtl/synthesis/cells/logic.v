// Look-up tables and the carry chain that Yosys maps to. Its own models of them, in cells_sim.v, are the same, but take a
// multiple of the time to compile.
//
// Ref: AMD UG974, "UltraScale Architecture Libraries Guide": LUT1 to LUT6 give the bit of INIT that their inputs number.
module LUT1 #(parameter [1:0] INIT = 0) (output wire O, input wire I0);
    assign O = INIT[I0];
endmodule

module LUT2 #(parameter [3:0] INIT = 0) (output wire O, input wire I0, input wire I1);
    assign O = INIT[{I1, I0}];
endmodule

module LUT3 #(parameter [7:0] INIT = 0) (output wire O, input wire I0, input wire I1, input wire I2);
    assign O = INIT[{I2, I1, I0}];
endmodule

module LUT4 #(parameter [15:0] INIT = 0) (output wire O, input wire I0, input wire I1, input wire I2, input wire I3);
    assign O = INIT[{I3, I2, I1, I0}];
endmodule

module LUT5 #(parameter [31:0] INIT = 0) (
    output wire O, input wire I0, input wire I1, input wire I2, input wire I3, input wire I4
);
    assign O = INIT[{I4, I3, I2, I1, I0}];
endmodule

module LUT6 #(parameter [63:0] INIT = 0) (
    output wire O, input wire I0, input wire I1, input wire I2, input wire I3, input wire I4, input wire I5
);
    assign O = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule

// Ref: AMD UG474, "7 Series FPGAs Configurable Logic Block", CARRY4: a bit's carry out is its carry in where S is one, and DI
// where it is zero, which is the carry of DI + (DI ^ S).
module CARRY4 (
    output wire [3:0] CO, output wire [3:0] O, input wire CI, input wire CYINIT, input wire [3:0] DI, input wire [3:0] S
);
    wire [3:0] other = DI ^ S;
    wire out;
    assign {out, O} = {1'b0, DI} + {1'b0, other} + {4'b0, CI | CYINIT};
    assign CO = {out, O[3:1] ^ S[3:1]};
endmodule
