// The sum of three numbers, modulo 2**BITS: a look-up table and a bit of a carry chain for every bit.
// The table makes the sum of three bits and the carry that their sum leaves; the chain adds these up.
module sum3 #(
    parameter BITS = 8
) (
    input wire [BITS-1:0] a,
    input wire [BITS-1:0] b,
    input wire [BITS-1:0] c,
    output wire [BITS-1:0] sum
);
`ifdef VERILATOR
    assign sum = a + b + c;
`else
    localparam CHAINS = (BITS + 7) / 8;
    wire [8*CHAINS:0] saved;
    wire [8*CHAINS-1:0] propagate, total, carry;
    assign saved[0] = 1'b0;
    assign sum = total[BITS-1:0];
    genvar i;
    generate
        for (i = 0; i < 8 * CHAINS; i = i + 1) begin : bits
            if (i < BITS) begin : used
                // O5: at least two of I0, I1, I2. O6: I0 ^ I1 ^ I2 ^ I3.
                LUT6_2 #(.INIT(64'h69966996E8E8E8E8)) add (
                    .I0(a[i]), .I1(b[i]), .I2(c[i]), .I3(saved[i]), .I4(1'b0), .I5(1'b1), .O5(saved[i+1]), .O6(propagate[i])
                );
            end else begin : unused
                assign saved[i+1] = 1'b0;
                assign propagate[i] = 1'b0;
            end
        end
        for (i = 0; i < CHAINS; i = i + 1) begin : chains
            CARRY8 chain (
                .CI(i == 0 ? 1'b0 : carry[8*i-1]), .CI_TOP(1'b0),
                .DI(saved[8*i +: 8]), .S(propagate[8*i +: 8]), .O(total[8*i +: 8]), .CO(carry[8*i +: 8])
            );
        end
    endgenerate
`endif
endmodule
