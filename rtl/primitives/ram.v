// A memory with one write port, whose lanes are enabled one by one, and one synchronous read port that gives the old
// word when it is written in the same cycle. Every lane is a memory of its own; all start with zeros.
// With WRONG_COLLISIONS, for simulation, such a read gives neither the old word nor the new one: an UltraRAM gives the one or the
// other as its ports are assigned, so that nothing may depend on it.
module ram #(
    parameter DEPTH = 16,
    parameter ADDRESS_BITS = 4,
    parameter LANES = 1,
    parameter LANE_BITS = 32,
    parameter STYLE = "auto"
) (
    input wire clk,
    input wire [LANES-1:0] write_enable,
    input wire [ADDRESS_BITS-1:0] write_address,
    input wire [LANES*LANE_BITS-1:0] write_data,
    input wire [ADDRESS_BITS-1:0] read_address,
    output wire [LANES*LANE_BITS-1:0] read_data
);
    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
            (* ram_style = STYLE *) reg [LANE_BITS-1:0] words [0:DEPTH-1];
            reg [LANE_BITS-1:0] read_lane;
            integer i;
            initial begin
                for (i = 0; i < DEPTH; i = i + 1) words[i] = {LANE_BITS{1'b0}};
                read_lane = {LANE_BITS{1'b0}};
            end
            always @(posedge clk) begin
                if (write_enable[lane]) words[write_address] <= write_data[lane*LANE_BITS +: LANE_BITS];
`ifdef WRONG_COLLISIONS
                read_lane <= write_enable[lane] && write_address == read_address ? ~words[read_address] : words[read_address];
`else
                read_lane <= words[read_address];
`endif
            end
            assign read_data[lane*LANE_BITS +: LANE_BITS] = read_lane;
        end
    endgenerate
endmodule
