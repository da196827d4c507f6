// One AXI port of the bench's memory: reads and writes with fixed latency, and seeded gaps when STALLING.
// The law is docs/engine.md sections 3, 6 and 7; it is written here independently of the simulator.
module bench_memory #(
    parameter int DATA_BITS = 128,
    parameter int PORT = 0,
    parameter int READ_LATENCY = 32,
    parameter int WRITE_LATENCY = 8,
    parameter int STALL_RATE = 48
) (
    input  logic                   clk,
    input  logic                   rst_n,
    input  logic [31:0]            cycle,
    input  logic                   stalling,
    input  logic [31:0]            seed,
    // Beats of this port, counted from the reset on, that answer with an error; all ones for none.
    input  logic [31:0]            fault_beat,
    input  logic [63:0]            araddr,
    input  logic [7:0]             arlen,
    input  logic                   arvalid,
    output logic                   arready,
    output logic [DATA_BITS-1:0]   rdata,
    output logic [1:0]             rresp,
    output logic                   rlast,
    output logic                   rvalid,
    input  logic                   rready,
    input  logic [63:0]            awaddr,
    input  logic                   awvalid,
    output logic                   awready,
    input  logic [DATA_BITS-1:0]   wdata,
    input  logic [DATA_BITS/8-1:0] wstrb,
    input  logic                   wvalid,
    output logic                   wready,
    output logic [1:0]             bresp,
    output logic                   bvalid,
    input  logic                   bready
);
    import "DPI-C" function int bench_read(input longint unsigned address, input int bytes, output bit [511:0] data);
    import "DPI-C" function int bench_write(input longint unsigned address, input int bytes, input bit [511:0] data,
                                            input longint unsigned strobes);

    localparam int BYTES = DATA_BITS / 8;
    localparam int DEPTH = 256;

    function automatic logic gap(input int channel, input logic [31:0] when_cycle);
        logic [31:0] x;
        x = (when_cycle * 32'h9E3779B1) ^ ((seed + 32'(PORT * 8 + channel)) * 32'h85EBCA77);
        x = x ^ (x >> 15);
        x = x * 32'h2C1B3C6D;
        x = x ^ (x >> 12);
        x = x * 32'h297A2D39;
        x = x ^ (x >> 15);
        return stalling && ({24'b0, x[7:0]} < STALL_RATE);
    endfunction

    assign arready = !gap(0, cycle);
    assign awready = !gap(2, cycle);
    assign wready  = !gap(3, cycle);

    // Accepted bursts, oldest first.
    logic [63:0] burst_address[DEPTH];
    logic [31:0] burst_cycle[DEPTH];
    logic [7:0]  burst_length[DEPTH];
    int unsigned burst_head, burst_tail;
    logic [7:0]  beat;
    logic [31:0] beats_answered;

    // Accepted write responses to come, by the cycle they may be given from.
    logic [31:0] response_cycle[DEPTH];
    logic        response_error[DEPTH];
    int unsigned response_head, response_tail;
    logic        have_address, have_data;
    logic [63:0] write_address;
    logic [DATA_BITS-1:0] write_data;
    logic [BYTES-1:0] write_strobes;

    bit [511:0] word;
    always_ff @(posedge clk) begin
        if (!rst_n) begin
            burst_head <= 0;
            burst_tail <= 0;
            beat <= 0;
            rvalid <= 0;
            beats_answered <= 0;
            response_head <= 0;
            response_tail <= 0;
            bvalid <= 0;
            have_address <= 0;
            have_data <= 0;
        end else begin : run
            automatic int unsigned head = burst_head;
            automatic int unsigned tail = burst_tail;
            automatic int unsigned responses = response_tail;
            automatic logic [7:0] now_beat = beat;
            automatic logic [63:0] address;
            automatic logic got_address = have_address;
            automatic logic got_data = have_data;
            if (arvalid && arready) begin
                burst_address[tail % DEPTH] = araddr;
                burst_length[tail % DEPTH] = arlen;
                burst_cycle[tail % DEPTH] = cycle + READ_LATENCY;
                tail = tail + 1;
            end
            // What is on the R channel in the next cycle.
            if (!(rvalid && !rready)) begin
                if (head != tail && cycle + 1 >= burst_cycle[head % DEPTH] && !gap(1, cycle + 1)) begin
                    address = burst_address[head % DEPTH] + 64'(now_beat) * BYTES;
                    rresp <= (bench_read(address, BYTES, word) != 0 || beats_answered == fault_beat) ? 2'b11 : 2'b00;
                    rdata <= word[DATA_BITS-1:0];
                    rlast <= now_beat == burst_length[head % DEPTH];
                    rvalid <= 1;
                    beats_answered <= beats_answered + 1;
                    if (now_beat == burst_length[head % DEPTH]) begin
                        head = head + 1;
                        now_beat = 0;
                    end else now_beat = now_beat + 1;
                end else rvalid <= 0;
            end
            burst_head <= head;
            burst_tail <= tail;
            beat <= now_beat;

            if (awvalid && awready) begin
                write_address = awaddr;
                got_address = 1;
            end
            if (wvalid && wready) begin
                write_data = wdata;
                write_strobes = wstrb;
                got_data = 1;
            end
            if (got_address && got_data) begin
                response_error[responses % DEPTH] = bench_write(write_address, BYTES, 512'(write_data), 64'(write_strobes)) != 0;
                response_cycle[responses % DEPTH] = cycle + WRITE_LATENCY;
                responses = responses + 1;
                got_address = 0;
                got_data = 0;
            end
            have_address <= got_address;
            have_data <= got_data;
            response_tail <= responses;
            if (!(bvalid && !bready)) begin
                if (response_head != responses && cycle + 1 >= response_cycle[response_head % DEPTH] && !gap(4, cycle + 1)) begin
                    bvalid <= 1;
                    bresp <= response_error[response_head % DEPTH] ? 2'b11 : 2'b00;
                    response_head <= response_head + 1;
                end else bvalid <= 0;
            end
        end
    end
endmodule
