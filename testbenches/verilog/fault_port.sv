// What comes between one AXI master of the engine and its memory in the fault bench: held channels, blocked channels and
// wrong responses. A request once offered to the memory stays offered; the engine always takes what comes back.
module fault_port #(
    parameter int PORT = 0
) (
    input  logic        clk,
    input  logic        rst_n,
    // The counts start again.
    input  logic        arm,
    // Of 256 cycles, how many a channel is held on average, in a pattern chosen by the seed.
    input  logic [7:0]  rate,
    input  logic [31:0] seed,
    // Whether the faults below are this port's.
    input  logic        here,
    // Channels (bit 0 AR, 1 R, 2 AW, 3 W, 4 B) that stop after a number of transfers.
    input  logic [4:0]  block,
    input  logic [31:0] block_after,
    // The beat and the write response, counted from 0, that answer otherwise.
    input  logic [31:0] bad_read,
    input  logic [31:0] bad_write,
    input  logic [1:0]  response,
    // Transfers so far.
    output logic [31:0] reads,
    output logic [31:0] writes,
    input  logic        e_arvalid,
    output logic        e_arready,
    output logic        m_arvalid,
    input  logic        m_arready,
    input  logic        m_rvalid,
    output logic        m_rready,
    input  logic [1:0]  m_rresp,
    output logic        e_rvalid,
    input  logic        e_rready,
    output logic [1:0]  e_rresp,
    input  logic        e_awvalid,
    output logic        e_awready,
    output logic        m_awvalid,
    input  logic        m_awready,
    input  logic        e_wvalid,
    output logic        e_wready,
    output logic        m_wvalid,
    input  logic        m_wready,
    input  logic        m_bvalid,
    output logic        m_bready,
    input  logic [1:0]  m_bresp,
    output logic        e_bvalid,
    input  logic        e_bready,
    output logic [1:0]  e_bresp
);
    logic [31:0] tick;
    logic [31:0] taken[5];
    logic [4:0]  offered, moves, held;

    function automatic logic gap(input int channel);
        logic [31:0] x;
        x = (tick * 32'h9E3779B1) ^ ((seed + 32'(PORT * 8 + channel)) * 32'h85EBCA77);
        x = x ^ (x >> 15);
        x = x * 32'h2C1B3C6D;
        x = x ^ (x >> 12);
        return x[7:0] < rate;
    endfunction

    always_comb
        for (int channel = 0; channel < 5; channel++)
            held[channel] = !offered[channel]
                && (gap(channel) || (here && block[channel] && taken[channel] >= block_after));

    assign m_arvalid = e_arvalid && !held[0];
    assign e_arready = m_arready && !held[0];
    assign e_rvalid  = m_rvalid && !held[1];
    assign m_rready  = e_rready && !held[1];
    assign e_rresp   = here && taken[1] == bad_read ? response : m_rresp;
    assign m_awvalid = e_awvalid && !held[2];
    assign e_awready = m_awready && !held[2];
    assign m_wvalid  = e_wvalid && !held[3];
    assign e_wready  = m_wready && !held[3];
    assign e_bvalid  = m_bvalid && !held[4];
    assign m_bready  = e_bready && !held[4];
    assign e_bresp   = here && taken[4] == bad_write ? response : m_bresp;

    assign moves = {
        e_bvalid && e_bready, m_wvalid && m_wready, m_awvalid && m_awready, e_rvalid && e_rready, m_arvalid && m_arready
    };
    assign reads = taken[1];
    assign writes = taken[4];
    always_ff @(posedge clk) begin
        tick <= tick + 32'd1;
        offered <= {1'b0, m_wvalid && !m_wready, m_awvalid && !m_awready, 1'b0, m_arvalid && !m_arready};
        for (int channel = 0; channel < 5; channel++) taken[channel] <= taken[channel] + 32'(moves[channel]);
        if (!rst_n) offered <= 0;
        if (!rst_n || arm) for (int channel = 0; channel < 5; channel++) taken[channel] <= 0;
    end
endmodule
