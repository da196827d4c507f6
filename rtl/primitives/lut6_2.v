// A look-up table of UltraScale+ with both its outputs for simulation alone; synthesis has the vendor's.
//
// Ref: AMD UG574, "UltraScale Architecture Configurable Logic Block", look-up table: O6 is the bit of INIT that the six inputs
// number, O5 that of the lower half which the lower five number.
`ifdef VERILATOR
module LUT6_2 #(parameter [63:0] INIT = 64'h0) (
    output wire O6, output wire O5, input wire I0, input wire I1, input wire I2, input wire I3, input wire I4, input wire I5
);
    wire [4:0] low = {I4, I3, I2, I1, I0};
    assign O6 = INIT[{I5, low}];
    assign O5 = INIT[{1'b0, low}];
endmodule
`endif
