// A signed byte times a code of -3 .. 3, less one where the code is negative: a look-up table a bit of the product.
// The code is given by its sign and by whether its size has a part of one and a part of two. Both parts are inverted for a
// negative code, and the chain's carry gives one of the two that they lack.
module times3 (
    input wire [7:0] x,
    input wire one,
    input wire two,
    input wire negative,
    output wire [9:0] product
);
`ifdef VERILATOR
    wire signed [9:0] wide = {{2{x[7]}}, x};
    wire signed [9:0] size = (one ? wide : 10'd0) + (two ? wide <<< 1 : 10'd0);
    assign product = negative ? ~size : size;
`else
    wire [10:0] extended = {{2{x[7]}}, x, 1'b0};
    wire [15:0] propagate, generated, total, carry;
    assign product = total[9:0];
    assign propagate[15:10] = 6'd0;
    assign generated[15:10] = 6'd0;
    genvar i;
    generate
        for (i = 0; i < 10; i = i + 1) begin : bits
            // O5: (I1 & I3) ^ I4. O6: (I0 & I2) ^ (I1 & I3), both inverted or neither.
            LUT6_2 #(.INIT(64'h6CA06CA033FFCC00)) multiply (
                .I0(extended[i+1]), .I1(extended[i]), .I2(one), .I3(two), .I4(negative), .I5(1'b1), .O5(generated[i]), .O6(propagate[i])
            );
        end
    endgenerate
    CARRY8 low (.CI(negative), .CI_TOP(1'b0), .DI(generated[7:0]), .S(propagate[7:0]), .O(total[7:0]), .CO(carry[7:0]));
    CARRY8 high (.CI(carry[7]), .CI_TOP(1'b0), .DI(generated[15:8]), .S(propagate[15:8]), .O(total[15:8]), .CO(carry[15:8]));
`endif
endmodule
